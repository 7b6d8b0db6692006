using System.Globalization;

namespace KvStore.Requests;

/// <summary>Seconds as they stand in a request.</summary>
internal static class Seconds
{
    /// <exception cref="KvException">It is not a whole number (400).</exception>
    public static TimeSpan CacheTtl(string text, string operation) =>
        int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds)
            ? TimeSpan.FromSeconds(seconds)
            : throw new KvException(400, operation, "Invalid cache_ttl. It must be a whole number of seconds.");
}
