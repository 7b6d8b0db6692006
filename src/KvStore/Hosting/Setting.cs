using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace KvStore.Hosting;

/// <summary>
/// Reads single settings without reflection, so that it works in trimmed and ahead-of-time compiled applications. An exception has the
/// path of the setting and what is allowed. It never quotes the value, because a value in the wrong place may be a secret.
/// </summary>
internal static class Setting
{
    public static bool Boolean(IConfigurationSection entry) =>
        bool.TryParse(entry.Value, out var value) ? value : throw Unreadable(entry, "true or false");

    public static double Double(IConfigurationSection entry) =>
        double.TryParse(entry.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unreadable(entry, "a number such as 0.5");

    public static int Int32(IConfigurationSection entry) =>
        int.TryParse(entry.Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unreadable(entry, "a whole number of at most 2147483647");

    public static long Int64(IConfigurationSection entry) =>
        long.TryParse(entry.Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unreadable(entry, "a whole number");

    // TimeSpan.Parse would read a plain number as days; users of the binding would expect seconds.
    public static TimeSpan Span(IConfigurationSection entry) =>
        entry.Value?.Contains(':', StringComparison.Ordinal) == true
            && TimeSpan.TryParse(entry.Value, CultureInfo.InvariantCulture, out var value)
            ? value
            : throw Unreadable(entry, "a span of time such as 00:01:00");

    public static string Text(IConfigurationSection entry, string expected) =>
        string.IsNullOrWhiteSpace(entry.Value) ? throw Unreadable(entry, expected) : entry.Value;

    public static T Named<T>(IConfigurationSection entry)
        where T : struct, Enum
    {
        foreach (var value in Enum.GetValues<T>())
        {
            if (value.ToString().Equals(entry.Value, StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }
        }

        var names = Enum.GetNames<T>();
        throw Unreadable(entry, $"{string.Join(", ", names[..^1])} or {names[^1]}");
    }

    /// <summary>Refuses a plain value in place of a section.</summary>
    /// <exception cref="FormatException">The section is a plain value.</exception>
    public static void CheckHasEntries(IConfiguration section)
    {
        if (section is IConfigurationSection { Value.Length: > 0 } entry)
        {
            throw new FormatException($"{entry.Path} is a section with settings of its own, but the configuration has a bare value for it.");
        }
    }

    /// <summary>
    /// Refuses an entry that has a value and entries below it. Two sources of configuration may each have one of them, and it is not
    /// clear which is meant.
    /// </summary>
    /// <exception cref="FormatException">The entry has both.</exception>
    public static void CheckIsEither(IConfigurationSection entry)
    {
        if (entry.Value is not null && entry.GetChildren().Any())
        {
            throw new FormatException(
                $"{entry.Path} has a value and settings below it as well, perhaps from two sources of configuration. Remove one of them.");
        }
    }

    public static FormatException Unknown(IConfigurationSection entry, string known) =>
        new($"{entry.Path} is no option. Options are: {known}.");

    public static FormatException Unreadable(IConfigurationSection entry, string expected) =>
        new($"{entry.Path} cannot be read; it must be {expected}.");
}
