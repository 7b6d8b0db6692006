using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;

namespace KvStore.Authentication;

/// <summary>Finds the token of a request by the hash of the secret in its header <c>Authorization</c>.</summary>
/// <remarks>
/// <para>A server reuses the string object of a header that repeats on a connection. An object that has been authenticated once is
/// found again by reference, without a hash. Comparing references takes the same time whatever the secret is.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class TokenAuthentication(IReadOnlyList<KvToken> tokens)
{
    private const int SecretCharsMax = 512;
    private const string Scheme = "Bearer ";

    private readonly Authenticated?[] _recent = new Authenticated?[64];

    /// <summary>The token of requests that need none: it allows everything.</summary>
    public static KvToken Anonymous { get; } = KvToken.FromSecret(KvToken.NewSecret());

    /// <summary>The token whose secret the header holds; null when there is none.</summary>
    public KvToken? Authenticate(string? authorization)
    {
        if (authorization is null)
        {
            return null;
        }

        ref var recent = ref _recent[RuntimeHelpers.GetHashCode(authorization) & (_recent.Length - 1)];
        if (Volatile.Read(ref recent) is { } known && ReferenceEquals(known.Authorization, authorization))
        {
            return known.Token;
        }

        var token = AuthenticateByHash(authorization);
        if (token is not null)
        {
            Volatile.Write(ref recent, new Authenticated(authorization, token));
        }

        return token;
    }

    private KvToken? AuthenticateByHash(string authorization)
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

        // A UTF-16 unit takes at most three bytes of UTF-8.
        Span<byte> utf8 = stackalloc byte[3 * SecretCharsMax];
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(utf8[..Encoding.UTF8.GetBytes(secret, utf8)], hash);
        KvToken? found = null;
        foreach (var token in tokens)
        {
            // All tokens are compared, also after a match, so that the time does not depend on which one matches.
            found = token.Matches(hash) ? token : found;
        }

        return found;
    }

    private sealed record Authenticated(string Authorization, KvToken Token);
}
