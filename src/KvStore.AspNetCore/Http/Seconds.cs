using System.Globalization;

namespace KvStore.Http;

/// <summary>Seconds in a request.</summary>
internal static class Seconds
{
    /// <summary>Reads the time for which a region may cache a value.</summary>
    /// <exception cref="KvException">The text is not a whole number (400).</exception>
    public static TimeSpan CacheTtl(string text, string operation) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds)
            ? TimeSpan.FromSeconds(seconds)
            : throw new KvException(400, operation, "Invalid cache_ttl. It must be a whole number of seconds.") { ParamName = "cacheTtl" };
}
