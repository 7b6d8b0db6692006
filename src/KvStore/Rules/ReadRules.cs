namespace KvStore.Rules;

/// <summary>The rules for reads, and the binding's messages for reads that break them. Source: the messages of the runtime.</summary>
internal static class ReadRules
{
    /// <summary>Checks the read of one key that comes with options.</summary>
    public static void Check(string key, KvGetOptions? options, KvLimits limits)
    {
        var cacheTtl = CacheTtlSeconds(options);
        KeyRules.Check(key, limits.KeyBytesMax, "GET");
        CheckCacheTtl(cacheTtl, limits, "GET");
    }

    /// <summary>The time for which a region may cache, in whole seconds, which fits 32 bits.</summary>
    public static int? CacheTtlSeconds(KvGetOptions? options) =>
        options?.CacheTtl is { } ttl ? ExpirationRules.Seconds32(ttl, "cacheTtl") : null;

    /// <summary>Checks how many keys are read at once.</summary>
    public static void CheckKeyCount(int count, KvLimits limits)
    {
        if (count > limits.GetManyKeysMax)
        {
            throw new KvException(400, "GET_BULK", Invariant($"You can request a maximum of {limits.GetManyKeysMax} keys")) { ParamName = "keys" };
        }

        if (count == 0)
        {
            throw new KvException(400, "GET_BULK", "You must request a minimum of 1 key") { ParamName = "keys" };
        }
    }

    /// <summary>Checks a key among many.</summary>
    public static void CheckInBulk(string key, int? cacheTtlSeconds, KvLimits limits)
    {
        KeyRules.CheckInBulk(key, limits.KeyBytesMax);
        CheckCacheTtl(cacheTtlSeconds, limits, "GET_BULK");
    }

    /// <summary>Checks how many bytes are read at once.</summary>
    public static void CheckTotal(long bytes, KvLimits limits)
    {
        if (bytes > limits.GetManyBytesMax)
        {
            throw new KvException(413, "GET_BULK", Invariant($"Total size of request exceeds the limit of {limits.GetManyBytesMax >> 20}MB")) { ParamName = "keys" };
        }
    }

    private static void CheckCacheTtl(int? seconds, KvLimits limits, string operation)
    {
        var least = (int)limits.CacheTtlMin.TotalSeconds;
        if (seconds < least)
        {
            throw new KvException(400, operation, Invariant($"Invalid cache_ttl of {seconds}. Cache TTL must be at least {least}.")) { ParamName = "cacheTtl" };
        }
    }
}
