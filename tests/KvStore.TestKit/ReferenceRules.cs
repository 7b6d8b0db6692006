using System.Text;
using KvStore.Records;
using KvStore.Rules;

namespace KvStore.TestKit;

/// <summary>The rules of <see cref="ReferenceStore"/>, written down from the observed behaviour of the binding.</summary>
internal static class ReferenceRules
{
    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public static byte[] EncodeKey(string key, KvLimits limits, string operation)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (key == "")
        {
            throw new KvArgumentException("Key name cannot be empty.", nameof(key));
        }

        if (key is "." or "..")
        {
            throw new KvArgumentException(FormattableString.Invariant($"\"{key}\" is not allowed as a key name."), nameof(key));
        }

        CheckLength(key, limits, operation);
        return StrictUtf8(key) ?? throw new KvException(400, operation, "Could not URL-decode key name");
    }

    /// <summary>Null for text that is not Unicode, which is no error here and names no entry.</summary>
    public static byte[]? EncodeKeyAmongMany(string key, KvLimits limits)
    {
        ArgumentNullException.ThrowIfNull(key, "keys");
        if (key == "")
        {
            throw new KvException(400, "GET_BULK", "Key names must not be empty");
        }

        if (key is "." or "..")
        {
            throw new KvException(400, "GET_BULK", FormattableString.Invariant($"Illegal key name \"{key}\". Please use a different name."));
        }

        CheckLength(key, limits, "GET_BULK");
        return StrictUtf8(key);
    }

    /// <summary>Null for text that is not Unicode, with which no key begins.</summary>
    public static byte[]? EncodePrefix(string? prefix, KvLimits limits)
    {
        CheckLength(prefix ?? "", limits, "GET");
        return StrictUtf8(prefix ?? "");
    }

    public static void CheckKeyCount(int count, KvLimits limits)
    {
        if (count > limits.GetManyKeysMax)
        {
            throw new KvException(400, "GET_BULK", FormattableString.Invariant($"You can request a maximum of {limits.GetManyKeysMax} keys"));
        }

        if (count == 0)
        {
            throw new KvException(400, "GET_BULK", "You must request a minimum of 1 key");
        }
    }

    public static void CheckTotal(long totalBytes, KvLimits limits)
    {
        if (totalBytes > limits.GetManyBytesMax)
        {
            var mebibytes = limits.GetManyBytesMax / 1024 / 1024;
            throw new KvException(
                413,
                "GET_BULK",
                "Total size of request exceeds the limit of "
                + (limits.GetManyBytesMax == mebibytes * 1024 * 1024 ? FormattableString.Invariant($"{mebibytes}MB") : FormattableString.Invariant($"{limits.GetManyBytesMax} bytes")));
        }
    }

    public static void CheckCacheTtl(KvGetOptions? options, KvLimits limits, string operation)
    {
        var leastSeconds = WholeSeconds(limits.CacheTtlMin);
        if (options?.CacheTtl is { } ttl && WholeSeconds(ttl) < leastSeconds)
        {
            throw new KvException(
                400, operation, FormattableString.Invariant($"Invalid cache_ttl of {WholeSeconds(ttl)}. Cache TTL must be at least {leastSeconds}."));
        }
    }

    public static int ListLimit(KvListOptions? options, KvLimits limits)
    {
        if (options?.Limit is not { } limit || limit <= 0)
        {
            return limits.ListKeysMax;
        }

        return limit <= limits.ListKeysMax
            ? limit
            : throw new KvException(
                400, "GET", FormattableString.Invariant($"Invalid key_count_limit of {limit}. Please specify an integer less than {limits.ListKeysMax}."));
    }

    public static void CheckSeconds(TimeSpan? span)
    {
        if (span is { } given && WholeSeconds(given) is < int.MinValue or > int.MaxValue)
        {
            throw new ArgumentException("Value out of range. Must be between -2147483648 and 2147483647 (inclusive).", nameof(span));
        }
    }

    /// <summary>Null for never; else a life that is measured from now, whole half seconds and not less than was asked for.</summary>
    public static ReferenceDeadline? Deadline(KvPutOptions? options, KvLimits limits, DateTimeOffset now)
    {
        var nowSeconds = now.ToUnixTimeSeconds();
        var leastSeconds = WholeSeconds(limits.ExpirationTtlMin);
        if (options?.ExpirationTtl is { } span)
        {
            var ttl = WholeSeconds(span);
            return ttl <= 0 ? throw Refused(FormattableString.Invariant($"Invalid expiration_ttl of {ttl}. Please specify integer greater than 0."))
                : ttl < leastSeconds ? throw Refused(FormattableString.Invariant($"Invalid expiration_ttl of {ttl}. Expiration TTL must be at least {leastSeconds}."))
                : Until((Int128)now.UtcTicks + span.Ticks, nowSeconds + ttl, "expiration_ttl", ttl);
        }

        if (options?.Expiration is { } date)
        {
            var at = date.ToUnixTimeSeconds();
            return at <= nowSeconds ? throw Refused(
                    FormattableString.Invariant($"Invalid expiration of {at}. Please specify integer greater than the current number of seconds since the UNIX epoch."))
                : at < nowSeconds + leastSeconds ? throw Refused(
                    FormattableString.Invariant($"Invalid expiration of {at}. Expiration times must be at least {leastSeconds} seconds in the future."))
                : Until(date.UtcTicks, at, "expiration", at);
        }

        return null;

        // To the half second, or to the second where the fractions of clock and span make more than one.
        static ReferenceDeadline Until(Int128 ticks, long shown, string option, long asked)
        {
            var sinceEpoch = ticks - DateTimeOffset.UnixEpoch.Ticks;
            var unit = sinceEpoch > (Int128)(shown + 1) * 10_000_000 ? 10_000_000 : 5_000_000;
            return sinceEpoch <= (Int128)uint.MaxValue * 10_000_000
                ? new(shown, (long)((sinceEpoch + unit - 1) / unit) * (unit / 5_000_000))
                : throw new ArgumentException(FormattableString.Invariant($"Invalid {option} of {asked}. The latest expiration that can be stored is 4294967295 (2106-02-07T06:28:15Z)."));
        }

        static KvException Refused(string reason) => new(400, "PUT", reason);
    }

    public static KvMetadata CompactMetadata(KvPutOptions? options, KvLimits limits)
    {
        if (options is null || options.Metadata.IsNull)
        {
            return default;
        }

        var json = ReferenceJson.Stringify(options.Metadata.Utf8Json);
        var bytes = Encoding.UTF8.GetByteCount(json);
        return bytes <= limits.MetadataBytesMax
            ? KvMetadata.FromJson(json)
            : throw new KvException(413, "PUT", FormattableString.Invariant($"Metadata length of {bytes} exceeds limit of {limits.MetadataBytesMax}."));
    }

    public static void CheckValue(long bytes, KvLimits limits)
    {
        if (bytes > limits.ValueBytesMax)
        {
            throw new KvException(413, "PUT", FormattableString.Invariant($"Value length of {bytes} exceeds limit of {limits.ValueBytesMax}."));
        }
    }

    /// <param name="ShownSeconds">The second that is shown.</param>
    /// <param name="GoneHalfSeconds">The half second from which on the entry is gone.</param>
    public sealed record ReferenceDeadline(long ShownSeconds, long GoneHalfSeconds);

    private static long WholeSeconds(TimeSpan span) => span.Ticks / TimeSpan.TicksPerSecond;

    private static void CheckLength(string text, KvLimits limits, string operation)
    {
        var bytes = Encoding.UTF8.GetByteCount(text);
        if (bytes > limits.KeyBytesMax)
        {
            throw new KvException(
                414, operation, FormattableString.Invariant($"UTF-8 encoded length of {bytes} exceeds key length limit of {limits.KeyBytesMax}."));
        }
    }

    private static byte[]? StrictUtf8(string text)
    {
        try
        {
            return s_strict.GetBytes(text);
        }
        catch (EncoderFallbackException)
        {
            return null;
        }
    }
}
