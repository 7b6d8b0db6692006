using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;

namespace KvStore.Access;

/// <summary>Who comes in: tells tokens apart by the hashes of what is sent.</summary>
/// <remarks>
/// A server hands out the same string for a header that comes again on a connection. That very object, once recognised, is
/// recognised again without being hashed; the comparison is of references and tells nothing about what is in it.
/// </remarks>
internal sealed class Gate(IReadOnlyList<KvToken> tokens)
{
    private const int SecretCharsMax = 512;
    private const string Scheme = "Bearer ";

    private readonly Seen?[] _seen = new Seen?[64];

    /// <summary>The token of all rights, which nobody has to show where everybody is let in.</summary>
    public static KvToken Anybody { get; } = KvToken.FromSecret(KvToken.NewSecret());

    /// <summary>The token whose secret the header holds, or null.</summary>
    public KvToken? Recognise(string? authorization)
    {
        if (authorization is null)
        {
            return null;
        }

        ref var place = ref _seen[RuntimeHelpers.GetHashCode(authorization) & (_seen.Length - 1)];
        if (Volatile.Read(ref place) is { } seen && ReferenceEquals(seen.Authorization, authorization))
        {
            return seen.Token;
        }

        var token = RecogniseNew(authorization);
        if (token is not null)
        {
            Volatile.Write(ref place, new Seen(authorization, token));
        }

        return token;
    }

    private KvToken? RecogniseNew(string authorization)
    {
        if (!authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var secret = authorization.AsSpan(Scheme.Length).Trim(' ');
        if (secret.Length is 0 or > SecretCharsMax)
        {
            return null;
        }

        // Not more than three bytes come of a character.
        Span<byte> utf8 = stackalloc byte[3 * SecretCharsMax];
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(utf8[..Encoding.UTF8.GetBytes(secret, utf8)], hash);
        KvToken? found = null;
        foreach (var token in tokens)
        {
            // All of them, whichever fits: how long it takes tells nothing.
            found = token.Matches(hash) ? token : found;
        }

        return found;
    }

    private sealed record Seen(string Authorization, KvToken Token);
}
