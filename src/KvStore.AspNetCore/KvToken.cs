using System.Security.Cryptography;
using System.Text;

namespace KvStore;

/// <summary>
/// A secret that lets its bearer in, for some namespaces or all, to read or to write. Only its SHA-256 is kept. Immutable.
/// </summary>
/// <remarks>
/// The hash has no salt and is fast, which is right for secrets that a machine made (128 random bits or more) and wrong for
/// passwords that a person chose.
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

    /// <summary>What its bearer may do.</summary>
    public KvAccess Access { get; }

    /// <summary>Whether it is for every namespace of the catalog, those that are yet to be created included.</summary>
    public bool IsForAllNamespaces => _namespaces is null;

    /// <summary>Hashes a secret, which is not kept.</summary>
    /// <param name="secret">What the bearer sends: at least 16 printable ASCII characters, no spaces.</param>
    /// <param name="access">What the bearer may do.</param>
    /// <param name="namespaces">The ids or titles of the namespaces it is for; null for all.</param>
    /// <returns>The token.</returns>
    /// <exception cref="ArgumentException">The secret is too short, or cannot be sent in a header. The message does not hold it.</exception>
    public static KvToken FromSecret(string secret, KvAccess access = KvAccess.ReadWrite, IEnumerable<string>? namespaces = null)
    {
        ArgumentNullException.ThrowIfNull(secret);
        if (secret.Length is < 16 or > 512 || secret.AsSpan().ContainsAnyExceptInRange('!', '~'))
        {
            throw new ArgumentException("A secret must be 16 to 512 printable ASCII characters without spaces.", nameof(secret));
        }

        return new KvToken(Hash(secret), access, namespaces);
    }

    /// <summary>Takes the hash of a secret, as it may stand in a configuration.</summary>
    /// <param name="sha256">64 hexadecimal digits: the SHA-256 of the secret in UTF-8.</param>
    /// <param name="access">What the bearer may do.</param>
    /// <param name="namespaces">The ids or titles of the namespaces it is for; null for all.</param>
    /// <returns>The token.</returns>
    /// <exception cref="ArgumentException">These are not 64 hexadecimal digits.</exception>
    public static KvToken FromHash(string sha256, KvAccess access = KvAccess.ReadWrite, IEnumerable<string>? namespaces = null)
    {
        ArgumentNullException.ThrowIfNull(sha256);
        if (sha256.Length != 2 * SHA256.HashSizeInBytes || !sha256.All(char.IsAsciiHexDigit))
        {
            throw new ArgumentException("A hash must be 64 hexadecimal digits: the SHA-256 of the secret in UTF-8.", nameof(sha256));
        }

        return new KvToken(Convert.FromHexString(sha256), access, namespaces);
    }

    /// <summary>A new secret of 256 random bits: 43 letters, digits, hyphens and underscores.</summary>
    /// <returns>The secret, which is kept nowhere.</returns>
    public static string NewSecret() => System.Buffers.Text.Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    /// <summary>The SHA-256 in hexadecimal digits, to be kept in place of the secret.</summary>
    /// <returns>64 digits, as <see cref="FromHash"/> takes them.</returns>
    public string ToHash() => Convert.ToHexStringLower(_sha256);

    /// <summary>Whether this is its secret, found out in a time that does not depend on where they differ.</summary>
    /// <param name="secret">What somebody says the secret is, of any length.</param>
    /// <returns>Whether it is.</returns>
    public bool Matches(string secret)
    {
        ArgumentNullException.ThrowIfNull(secret);
        return Matches(Hash(secret));
    }

    /// <summary>Compares in a time that does not depend on where the hashes differ.</summary>
    internal bool Matches(ReadOnlySpan<byte> sha256) => CryptographicOperations.FixedTimeEquals(_sha256, sha256);

    /// <summary>Whether a namespace is among those it is for.</summary>
    internal bool Covers(KvCatalogEntry entry) =>
        _namespaces is null || _namespaces.Contains(entry.Id) || _namespaces.Contains(entry.Title);

    private static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}
