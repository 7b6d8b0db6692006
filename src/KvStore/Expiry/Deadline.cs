namespace KvStore.Expiry;

/// <summary>
/// Turns a time to live or a date into one absolute deadline, in whole seconds since the Unix epoch, 0 for none. Source:
/// Workers KV, "Expiring keys", and the messages of the runtime.
/// </summary>
internal static class Deadline
{
    /// <summary>Checks that what is a 32-bit number in the binding fits one.</summary>
    /// <exception cref="ArgumentException">It does not.</exception>
    public static void CheckRange(KvPutOptions options)
    {
        if (options.ExpirationTtl is { } ttl)
        {
            _ = Seconds32(ttl, nameof(options));
        }

        if (options.Expiration is { } expiration)
        {
            CheckRange(expiration.ToUnixTimeSeconds(), nameof(options));
        }
    }

    /// <summary>The deadline that the options ask for.</summary>
    /// <param name="options">The options of a put, already within 32 bits.</param>
    /// <param name="limits">The least time to live.</param>
    /// <param name="nowSeconds">The current second.</param>
    /// <returns>The deadline, or 0 for none.</returns>
    /// <exception cref="KvException">It is in the past or too near (400).</exception>
    public static uint From(KvPutOptions options, KvLimits limits, long nowSeconds)
    {
        var leastSeconds = (long)limits.ExpirationTtlMin.TotalSeconds;
        if (options.ExpirationTtl is { } ttl)
        {
            var seconds = (long)ttl.TotalSeconds;
            if (seconds <= 0)
            {
                throw new KvException(400, "PUT", $"Invalid expiration_ttl of {seconds}. Please specify integer greater than 0.");
            }

            if (seconds < leastSeconds)
            {
                throw new KvException(400, "PUT", $"Invalid expiration_ttl of {seconds}. Expiration TTL must be at least {leastSeconds}.");
            }

            return (uint)Math.Min(nowSeconds + seconds, uint.MaxValue);
        }

        if (options.Expiration is { } expiration)
        {
            var seconds = expiration.ToUnixTimeSeconds();
            if (seconds <= nowSeconds)
            {
                throw new KvException(
                    400,
                    "PUT",
                    $"Invalid expiration of {seconds}. Please specify integer greater than the current number of seconds since the UNIX epoch.");
            }

            if (seconds < nowSeconds + leastSeconds)
            {
                throw new KvException(
                    400, "PUT", $"Invalid expiration of {seconds}. Expiration times must be at least {leastSeconds} seconds in the future.");
            }

            return (uint)seconds;
        }

        return 0;
    }

    /// <summary>A span in whole seconds, cut off towards zero, that must fit 32 bits.</summary>
    public static int Seconds32(TimeSpan span, string parameter)
    {
        var seconds = (long)span.TotalSeconds;
        CheckRange(seconds, parameter);
        return (int)seconds;
    }

    private static void CheckRange(long seconds, string parameter)
    {
        if (seconds is < int.MinValue or > int.MaxValue)
        {
            throw new ArgumentException(
                $"Value out of range. Must be between {int.MinValue} and {int.MaxValue} (inclusive).", parameter);
        }
    }
}
