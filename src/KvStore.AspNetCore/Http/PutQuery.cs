using System.Globalization;
using KvStore.Rules;
using Microsoft.AspNetCore.Http;

namespace KvStore.Http;

/// <summary>The expiration of a put, as both protocols send it: <c>expiration</c> and <c>expiration_ttl</c>, in seconds.</summary>
internal static class PutQuery
{
    /// <summary>The options of a put; null when the request has none.</summary>
    /// <exception cref="KvException">A number is none, or no expiration (400).</exception>
    public static KvPutOptions? Read(HttpRequest request, KvMetadata metadata)
    {
        var ttl = Seconds(request, PutSeconds.TtlName);
        var expiration = Seconds(request, PutSeconds.ExpirationName);
        return ttl is null && expiration is null && metadata.IsNull
            ? null
            : new KvPutOptions
            {
                ExpirationTtl = PutSeconds.ToTtl(ttl),
                Expiration = PutSeconds.ToExpiration(expiration),
                Metadata = metadata,
            };
    }

    private static bool IsTooMany(string? value) => value is { Length: > 0 } && !value.AsSpan().ContainsAnyExceptInRange('0', '9');

    private static long? Seconds(HttpRequest request, string name)
    {
        if (!request.QueryString.HasValue || request.Query[name] is not { Count: > 0 } values)
        {
            return null;
        }

        if (values.Count > 1)
        {
            throw PutSeconds.Refused(name, Invariant($"{name} is given {values.Count} times. Please specify it once."));
        }

        // An empty value is refused too, because a variable that was not set must not make an entry that never expires.
        return Int128.TryParse(values[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds)
            ? PutSeconds.Check(seconds, name)
            : throw PutSeconds.Refused(
                name, $"Invalid {name} of {VisibleKey.Quote(values[0])}. {(IsTooMany(values[0]) ? PutSeconds.LatestText : PutSeconds.RuleOf(name))}");
    }
}
