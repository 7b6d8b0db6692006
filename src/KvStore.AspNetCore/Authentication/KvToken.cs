using System.Security.Cryptography;
using System.Text;

namespace KvStore;

/// <summary>
/// A secret that allows its bearer to read, or to read and write, some namespaces or all. Only the SHA-256 of the secret is kept.
/// Immutable.
/// </summary>
/// <remarks>
/// The hash has no salt and is fast. That is right for secrets of 128 random bits or more, and wrong for passwords that people
/// choose.
/// </remarks>
public sealed class KvToken
{
    private readonly byte[] _sha256;
    private readonly HashSet<string>? _namespaces;

    private KvToken(byte[] sha256, KvAccess access, IEnumerable<string>? namespaces)
    {
        _sha256 = sha256;
        Access = access;
        _namespaces = namespaces is null ? null : new HashSet<string>(namespaces, StringComparer.Ordinal);
    }

    /// <summary>The operations that the token allows.</summary>
    public KvAccess Access { get; }

    /// <summary>Whether the token is for every namespace of the catalog, also for namespaces that are created later.</summary>
    public bool IsForAllNamespaces => _namespaces is null;

    /// <summary>Makes a token from a secret. The secret is not kept.</summary>
    /// <param name="secret">What the bearer sends: at least 16 printable ASCII characters, no spaces.</param>
    /// <param name="access">The operations that the token allows.</param>
    /// <param name="namespaces">The ids or titles of the namespaces that the token is for; null for all.</param>
    /// <returns>The token.</returns>
    /// <exception cref="ArgumentException">The secret is too short, or cannot be sent in a header. The message does not quote it.</exception>
    public static KvToken FromSecret(string secret, KvAccess access = KvAccess.ReadWrite, IEnumerable<string>? namespaces = null)
    {
        ArgumentNullException.ThrowIfNull(secret);
        if (secret.Length is < 16 or > 512 || secret.AsSpan().ContainsAnyExceptInRange('!', '~'))
        {
            throw new ArgumentException("A secret must be 16 to 512 printable ASCII characters without spaces.", nameof(secret));
        }

        return new KvToken(Hash(secret), access, namespaces);
    }

    /// <summary>Makes a token from the hash of a secret, which may stand in a configuration.</summary>
    /// <param name="sha256">64 hexadecimal digits: the SHA-256 of the secret in UTF-8.</param>
    /// <param name="access">The operations that the token allows.</param>
    /// <param name="namespaces">The ids or titles of the namespaces that the token is for; null for all.</param>
    /// <returns>The token.</returns>
    /// <exception cref="ArgumentException">The hash is not 64 hexadecimal digits.</exception>
    public static KvToken FromHash(string sha256, KvAccess access = KvAccess.ReadWrite, IEnumerable<string>? namespaces = null)
    {
        ArgumentNullException.ThrowIfNull(sha256);
        if (sha256.Length != 2 * SHA256.HashSizeInBytes || !sha256.All(char.IsAsciiHexDigit))
        {
            throw new ArgumentException("A hash must be 64 hexadecimal digits: the SHA-256 of the secret in UTF-8.", nameof(sha256));
        }

        return new KvToken(Convert.FromHexString(sha256), access, namespaces);
    }

    /// <summary>Makes a secret of 256 random bits: 43 letters, digits, hyphens and underscores.</summary>
    /// <returns>The secret. It is not kept.</returns>
    public static string NewSecret() => System.Buffers.Text.Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    /// <summary>The SHA-256 of the secret, to store in its place.</summary>
    /// <returns>64 hexadecimal digits, which <see cref="FromHash"/> accepts.</returns>
    public string ToHash() => Convert.ToHexStringLower(_sha256);

    /// <summary>Compares a secret with that of the token, in a time that does not depend on where they differ.</summary>
    /// <param name="secret">The secret, of any length.</param>
    /// <returns>Whether it is the secret of the token.</returns>
    public bool Matches(string secret)
    {
        ArgumentNullException.ThrowIfNull(secret);
        return Matches(Hash(secret));
    }

    /// <summary>Compares in a time that does not depend on where the hashes differ.</summary>
    internal bool Matches(ReadOnlySpan<byte> sha256) => CryptographicOperations.FixedTimeEquals(_sha256, sha256);

    /// <summary>Whether the token is for a namespace.</summary>
    internal bool Covers(KvCatalogEntry entry) =>
        _namespaces is null || _namespaces.Contains(entry.Id) || _namespaces.Contains(entry.Title);

    private static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}
