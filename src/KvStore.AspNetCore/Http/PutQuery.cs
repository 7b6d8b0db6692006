using System.Globalization;
using KvStore.Rules;
using Microsoft.AspNetCore.Http;

namespace KvStore.Http;

/// <summary>The expiration of a put, as both protocols send it: <c>expiration</c> and <c>expiration_ttl</c>, in seconds.</summary>
internal static class PutQuery
{
    private const string TtlName = "expiration_ttl";
    private const string ExpirationName = "expiration";

    // What a date and a span can hold. The namespace checks what lies within.
    private static readonly long s_least = DateTimeOffset.MinValue.ToUnixTimeSeconds();
    private static readonly long s_most = DateTimeOffset.MaxValue.ToUnixTimeSeconds();

    /// <summary>The options of a put; null when the request has none.</summary>
    /// <exception cref="KvException">A number is none, or no expiration (400).</exception>
    public static KvPutOptions? Read(HttpRequest request, KvMetadata metadata)
    {
        var ttl = Seconds(request, TtlName);
        var expiration = Seconds(request, ExpirationName);
        return ttl is null && expiration is null && metadata.IsNull
            ? null
            : new KvPutOptions
            {
                ExpirationTtl = ttl is { } span ? TimeSpan.FromSeconds(span) : null,
                Expiration = expiration is { } at ? DateTimeOffset.FromUnixTimeSeconds(at) : null,
                Metadata = metadata,
            };
    }

    private static long? Seconds(HttpRequest request, string name)
    {
        if (!request.QueryString.HasValue || request.Query[name] is not { Count: > 0 } values)
        {
            return null;
        }

        // An empty value is refused, because a variable that was not set must not make an entry that never expires.
        if (values.Count > 1)
        {
            throw Refused(name, Invariant($"{name} is given {values.Count} times. Please specify it once."));
        }

        if (!Int128.TryParse(values[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds))
        {
            throw Refused(name, $"Invalid {name} of {VisibleKey.Quote(values[0])}. {RuleOf(name)}");
        }

        return seconds < s_least ? throw Refused(name, Invariant($"Invalid {name} of {seconds}. {RuleOf(name)}"))
            : seconds > s_most ? throw Refused(name, Invariant($"Invalid {name} of {seconds}. The latest expiration that can be stored is {KvLimits.ExpirationMax.ToUnixTimeSeconds()} ({KvLimits.ExpirationMax:yyyy-MM-dd'T'HH:mm:ss'Z'})."))
            : (long)seconds;
    }

    private static string RuleOf(string name) => name == TtlName
        ? "Please specify integer greater than 0."
        : "Please specify integer greater than the current number of seconds since the UNIX epoch.";

    private static KvException Refused(string name, string reason) =>
        new(400, "PUT", reason) { ParamName = name == TtlName ? "expirationTtl" : "expiration" };
}
