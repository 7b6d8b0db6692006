using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace KvStore.Requests;

/// <summary>The expiration of a put, as both protocols send it: <c>expiration</c> and <c>expiration_ttl</c>, in seconds.</summary>
internal static class PutQuery
{
    /// <summary>The options of a put; null when there is nothing to say.</summary>
    public static KvPutOptions? Read(HttpRequest request, KvMetadata metadata)
    {
        var ttl = Seconds(request, "expiration_ttl", "Invalid expiration_ttl of {0}. Please specify integer greater than 0.");
        var expiration = Seconds(
            request, "expiration", "Invalid expiration of {0}. Please specify integer greater than the current number of seconds since the UNIX epoch.");
        return ttl is null && expiration is null && metadata.IsNull
            ? null
            : new KvPutOptions
            {
                ExpirationTtl = ttl is { } span ? TimeSpan.FromSeconds(span) : null,
                Expiration = expiration is { } at ? DateTimeOffset.FromUnixTimeSeconds(at) : null,
                Metadata = metadata,
            };
    }

    private static int? Seconds(HttpRequest request, string name, string message)
    {
        if (!request.QueryString.HasValue || request.Query[name] is not { Count: > 0 } values || string.IsNullOrEmpty(values[0]))
        {
            return null;
        }

        return int.TryParse(values[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds)
            ? seconds
            : throw new KvException(400, "PUT", string.Format(CultureInfo.InvariantCulture, message, values[0]));
    }
}
