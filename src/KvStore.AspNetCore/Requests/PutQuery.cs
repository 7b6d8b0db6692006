using System.Globalization;
using KvStore.Rules;
using Microsoft.AspNetCore.Http;

namespace KvStore.Requests;

/// <summary>The expiration of a put, as both protocols send it: <c>expiration</c> and <c>expiration_ttl</c>, in seconds.</summary>
internal static class PutQuery
{
    /// <summary>The options of a put; null when there is nothing to say.</summary>
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

    private static long? Seconds(HttpRequest request, string name)
    {
        if (!request.QueryString.HasValue || request.Query[name] is not { Count: > 0 } values)
        {
            return null;
        }

        // One that is empty is refused too: a variable that was not set must not make an entry that stays for ever.
        if (values.Count > 1)
        {
            throw new KvException(400, "PUT", Invariant($"{name} is given {values.Count} times. Please specify it once."));
        }

        if (Int128.TryParse(values[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds))
        {
            return PutSeconds.Check(seconds, name);
        }

        throw new KvException(400, "PUT", $"Invalid {name} of {VisibleKey.Quote(values[0])}. {PutSeconds.RuleOf(name)}");
    }
}
