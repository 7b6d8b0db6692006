using System.Buffers;
using System.Security.Cryptography;
using System.Text;

namespace KvStore.Catalog;

/// <summary>The id of a namespace: 32 lower-case hexadecimal digits.</summary>
internal static class NamespaceId
{
    private const int Digits = 32;

    private static readonly SearchValues<char> s_digits = SearchValues.Create("0123456789abcdef");

    /// <summary>A new one, which nobody can guess.</summary>
    public static string New() => RandomNumberGenerator.GetHexString(Digits, lowercase: true);

    /// <summary>The one that a namespace registered in code has: it follows from the name, and so survives a restart.</summary>
    public static string OfRegistered(string name) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes("KvStore namespace " + name)).AsSpan(0, Digits / 2));

    public static bool IsWellFormed(string id) => id.Length == Digits && !id.AsSpan().ContainsAnyExcept(s_digits);
}
