using System.Buffers;

namespace KvStore.Dashboard.Pages;

/// <summary>The header that makes a browser save an answer as a file.</summary>
internal static class Attachment
{
    private const int NameCharsMax = 64;

    private static readonly SearchValues<char> s_safe = SearchValues.Create("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_.");

    /// <summary>
    /// An attachment with a name made from a text. Letters, digits, dots, hyphens and underscores stay; no other character, because it
    /// could have a meaning in a header or a file system.
    /// </summary>
    public static string Named(string text, string fallback, string extension)
    {
        var name = string.Concat(text.Take(NameCharsMax).Select(c => s_safe.Contains(c) ? c : '_')).Trim('.', '_');
        name = name.Length == 0 ? fallback : name;
        return $"attachment; filename=\"{(name.Contains('.', StringComparison.Ordinal) && extension == ".bin" ? name : name + extension)}\"";
    }
}
