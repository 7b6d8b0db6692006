using System.Reflection;
using System.Reflection.Emit;
using System.Security.Cryptography;
using System.Text;
using KvStore.Authentication;

namespace KvStore.AspNetCore.Tests;

/// <summary>
/// What is held of a secret and how it is compared. That a comparison takes the same time whatever it compares cannot be shown
/// by a clock on a machine that others use; what is shown is that hashes are compared, by the one call of the framework that
/// is made for it, and that nothing else is there to be compared.
/// </summary>
public sealed class TokenSecrecyTests
{
    private const string Secret = "a-secret-of-enough-length";

    private static readonly Dictionary<short, OpCode> s_opCodes = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => code.Value);

    [Fact]
    public void A_token_holds_the_hash_of_its_secret_and_nothing_of_the_secret_itself()
    {
        var held = HeldBy(KvToken.FromSecret(Secret, KvAccess.Read, ["a title"]));

        held.OfType<byte[]>().Should().ContainSingle().Which.Should().Equal(SHA256.HashData(Encoding.UTF8.GetBytes(Secret)));
        held.OfType<string>().Should().Equal("a title");
        held.OfType<char[]>().Should().BeEmpty();
    }

    [Fact]
    public void Hashes_are_compared_only_by_the_fixed_time_comparison_of_the_framework()
    {
        var matches = typeof(KvToken).GetMethod("Matches", BindingFlags.Instance | BindingFlags.NonPublic)!;

        var called = CalledBy(matches).Where(method => method.Name != "op_Implicit").ToList();

        called.Should().ContainSingle().Which.DeclaringType.Should().Be(typeof(CryptographicOperations));
        called[0].Name.Should().Be(nameof(CryptographicOperations.FixedTimeEquals));
    }

    [Fact]
    public void Secret_is_compared_with_every_token_and_only_by_its_hash()
    {
        // All that it calls and that is ours: there is no other way to a token, and no way out of the loop over them.
        var authenticate = typeof(TokenAuthentication).GetMethod("AuthenticateByHash", BindingFlags.Instance | BindingFlags.NonPublic)!;
        CalledBy(authenticate).Where(method => method.DeclaringType == typeof(KvToken)).Should().ContainSingle().Which.Name.Should().Be("Matches");

        var secrets = Enumerable.Range(0, 100).Select(i => $"{Secret}-{i}").ToArray();
        var tokens = secrets.Select(secret => KvToken.FromSecret(secret)).ToArray();
        var authentication = new TokenAuthentication(tokens);
        for (var i = 0; i < secrets.Length; i++)
        {
            authentication.Authenticate("Bearer " + secrets[i]).Should().BeSameAs(tokens[i]);
        }

        authentication.Authenticate("Bearer " + Secret).Should().BeNull();
        authentication.Authenticate("Bearer " + tokens[0].ToHash()).Should().BeNull("whoever has read the hashes has no secret");
    }

    [Fact]
    public void A_header_that_was_not_recognised_is_not_held()
    {
        var authentication = new TokenAuthentication([KvToken.FromSecret(Secret)]);

        for (var i = 0; i < 1000; i++)
        {
            authentication.Authenticate($"Bearer {Secret}{i}").Should().BeNull();
        }

        HeldBy(authentication).OfType<string>().Should().BeEmpty();
    }

    // Everything that can be reached from an object through its fields and the items of its arrays.
    private static List<object> HeldBy(object root)
    {
        var found = new HashSet<object>(ReferenceEqualityComparer.Instance);
        var open = new Stack<object>([root]);
        while (open.TryPop(out var next))
        {
            if (!found.Add(next) || next is string or Type || next.GetType().IsPrimitive)
            {
                continue;
            }

            IEnumerable<object?> inside = next is Array array ? array.Cast<object?>() : FieldsOf(next.GetType()).Select(field => field.GetValue(next));
            foreach (var item in inside)
            {
                if (item is not null)
                {
                    open.Push(item);
                }
            }
        }

        // Not what the comparer of a set knows by itself.
        return [.. found.Where(item => item is not string { Length: 0 })];
    }

    private static IEnumerable<FieldInfo> FieldsOf(Type? type)
    {
        for (; type is not null; type = type.BaseType)
        {
            foreach (var field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            {
                if (!field.FieldType.IsPointer && !field.FieldType.IsByRefLike)
                {
                    yield return field;
                }
            }
        }
    }

    private static IEnumerable<MethodBase> CalledBy(MethodInfo method)
    {
        var code = method.GetMethodBody()!.GetILAsByteArray()!;
        for (var at = 0; at < code.Length;)
        {
            var value = code[at] == 0xFE ? unchecked((short)(0xFE00 | code[at + 1])) : code[at];
            var operation = s_opCodes[value];
            at += operation.Size;
            if (operation.OperandType == OperandType.InlineMethod)
            {
                yield return method.Module.ResolveMethod(BitConverter.ToInt32(code, at))!;
            }

            at += operation.OperandType switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + (4 * BitConverter.ToInt32(code, at)),
                _ => 4,
            };
        }
    }
}
