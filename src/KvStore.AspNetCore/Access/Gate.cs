using System.Security.Cryptography;
using System.Text;

namespace KvStore.Access;

/// <summary>Who comes in: tells tokens apart by the hashes of what is sent.</summary>
internal sealed class Gate(IReadOnlyList<KvToken> tokens)
{
    private const int SecretCharsMax = 512;
    private const string Scheme = "Bearer ";

    /// <summary>The token of all rights, which nobody has to show where everybody is let in.</summary>
    public static KvToken Anybody { get; } = KvToken.FromSecret(KvToken.NewSecret());

    /// <summary>The token whose secret the header holds, or null.</summary>
    public KvToken? Recognise(string? authorization)
    {
        if (authorization is null || !authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
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
}
