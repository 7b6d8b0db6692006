using System.Text;

namespace KvStore.TestKit;

/// <summary>
/// Text with a secret in it that is broken in many ways, to feed to whatever reads text, and a look at what was said about it.
/// </summary>
public static class Secrets
{
    /// <summary>Part of every text that <see cref="Broken"/> makes.</summary>
    public const string Secret = "~hunter2~";

    // A reader of JSON quotes a character that it does not expect, a literal to its end, and the path of names to a value.
    private static readonly string[] s_intruders =
    [
        Secret, "t" + Secret, "truehunter2", "n" + Secret, "fals" + Secret, "-" + Secret, "1" + Secret, $"\"{Secret}", $"\"{Secret}\\q\"",
        $"\"{Secret}\\ud800\"", $"\"{Secret}\n\"", $"\"{Secret}\":\"{Secret}\"", $"/{Secret}", $"// {Secret}", $"/* {Secret}", "}", "]", ",", "{", "[",
    ];

    /// <summary>A text, cut off and with something that does not belong there, at every place.</summary>
    /// <param name="text">The text; each "secret" in it becomes the secret.</param>
    public static IEnumerable<string> Broken(string text)
    {
        text = text.Replace("secret", Secret, StringComparison.Ordinal);
        for (var at = 0; at <= text.Length; at++)
        {
            yield return text[..at];

            // Not within the secret, where it would only be another secret.
            if (at == 0 || at == text.Length || !char.IsAsciiLetter(text[at - 1]) || !char.IsAsciiLetter(text[at]))
            {
                foreach (var intruder in s_intruders)
                {
                    yield return text[..at] + intruder + text[at..];
                }
            }
        }
    }

    /// <summary>The same texts in bytes, and some with bytes in them that are not UTF-8.</summary>
    public static IEnumerable<byte[]> BrokenBytes(string text) => Broken(text).Select(Encoding.UTF8.GetBytes)
        .Concat(Broken(text).Where((_, i) => i % 16 == 0).Select(broken => (byte[])[.. Encoding.UTF8.GetBytes(broken), 0xFF, .. "~hunter2~"u8]));

    /// <summary>What of a text gives the secret away, or a character of it; null when nothing does.</summary>
    public static string? LeakIn(string said) =>
        said.Contains("hunter", StringComparison.Ordinal) || said.Contains('~') || said.Contains("0xFF", StringComparison.OrdinalIgnoreCase) ? said : null;

    /// <summary>What an exception gives away wherever it is printed: its text with all causes and the data it carries.</summary>
    public static string? LeakIn(Exception exception) =>
        LeakIn(exception.ToString())
        ?? (exception is System.Text.Json.JsonException { Path: { } path } ? LeakIn(path) : null)
        ?? (exception.InnerException is { } inner ? LeakIn(inner) : null);
}
