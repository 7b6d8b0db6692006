using System.Buffers;
using System.Security.Cryptography;
using System.Text;

namespace KvStore.Catalog;

/// <summary>The id of a namespace: 32 lower-case hexadecimal digits.</summary>
internal static class NamespaceId
{
    private const int Digits = 32;

    private static readonly SearchValues<char> s_digits = SearchValues.Create("0123456789abcdef");

    /// <summary>A new random id, which cannot be guessed.</summary>
    public static string New() => RandomNumberGenerator.GetHexString(Digits, lowercase: true);

    /// <summary>The id of a namespace that is registered in code. It is computed from the name, so it is the same after a restart.</summary>
    public static string OfRegistered(string name) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes("KvStore namespace " + name)).AsSpan(0, Digits / 2));

    public static bool IsWellFormed(string id) => id.Length == Digits && !id.AsSpan().ContainsAnyExcept(s_digits);
}
