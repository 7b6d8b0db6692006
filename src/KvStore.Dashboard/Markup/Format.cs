using System.Globalization;

namespace KvStore.Dashboard.Markup;

/// <summary>Formats numbers and times for people.</summary>
internal static class Format
{
    private static readonly string[] s_units = ["bytes", "KiB", "MiB", "GiB", "TiB"];

    public static string Count(long number) => number.ToString("#,0", CultureInfo.InvariantCulture);

    /// <summary>A number with its noun: "1 entry", "2 entries".</summary>
    public static string Count(long number, string one, string many) => $"{Count(number)} {(number == 1 ? one : many)}";

    /// <summary>Bytes: "17 bytes", "1.5 MiB".</summary>
    public static string Bytes(long bytes)
    {
        if (bytes == 1)
        {
            return "1 byte";
        }

        double size = bytes;
        var unit = 0;
        while (size >= 1024 && unit < s_units.Length - 1)
        {
            size /= 1024;
            unit++;
        }

        return $"{size.ToString(unit == 0 || size >= 100 ? "0" : "0.0", CultureInfo.InvariantCulture)} {s_units[unit]}";
    }

    /// <summary>The time until an expiration in its two largest units: "in 3 h 12 min". The title holds the time of the expiration.</summary>
    public static Html Expiration(DateTimeOffset? expiration, DateTimeOffset now) => expiration is { } at
        ? Html.Of($"""<time datetime="{Iso(at)}" title="{Iso(at)}">{Remaining(at - now)}</time>""")
        : Html.Of($"""<span class="muted">never</span>""");

    public static string Remaining(TimeSpan left)
    {
        var seconds = (long)Math.Ceiling(left.TotalSeconds);
        return seconds switch
        {
            <= 0 => "now",
            < 60 => Invariant($"in {seconds} s"),
            < 3600 => Two(seconds, 60, "min", "s"),
            < 86_400 => Two(seconds / 60, 60, "h", "min"),
            _ => Two(seconds / 3600, 24, "d", "h"),
        };
    }

    public static string Iso(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static string Two(long amount, int per, string large, string small) =>
        amount % per == 0 ? $"in {Count(amount / per)} {large}" : Invariant($"in {Count(amount / per)} {large} {amount % per} {small}");
}
