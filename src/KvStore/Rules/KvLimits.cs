using KvStore.Json;
using KvStore.Records;
using KvStore.Rules;

namespace KvStore;

/// <summary>
/// The limits of a namespace. The defaults are the documented limits of Workers KV ("Limits"). Each can be changed, for example to
/// allow a time to live of one second.
/// </summary>
public sealed record KvLimits
{
    /// <summary>How deep the JSON of values and metadata may be nested: 1,000 levels.</summary>
    public const int JsonDepthMax = KvJson.DepthMax;

    /// <summary>The latest expiration that can be stored: 2106-02-07T06:28:15Z.</summary>
    public static DateTimeOffset ExpirationMax { get; } = DateTimeOffset.FromUnixTimeSeconds(Deadline.SecondsMax);

    /// <summary>The longest key, in bytes of UTF-8. Default 512; 1 to 4,095.</summary>
    public int KeyBytesMax { get; init; } = 512;

    /// <summary>The largest value, in bytes. Default 26,214,400 (25 MiB); 0 to 1 GiB.</summary>
    public int ValueBytesMax { get; init; } = 25 * 1024 * 1024;

    /// <summary>The largest metadata, in bytes of compact JSON. Default 1,024; 0 to 65,535.</summary>
    public int MetadataBytesMax { get; init; } = 1024;

    /// <summary>The shortest time to live, and the least distance of an expiration from now. Default 60 seconds; at least one.</summary>
    public TimeSpan ExpirationTtlMin { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>The least <see cref="KvGetOptions.CacheTtl"/>. Default 30 seconds; 0 or more.</summary>
    public TimeSpan CacheTtlMin { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The most keys on a page of a listing, and the default. Default 1,000; 1 to 1,000,000.</summary>
    public int ListKeysMax { get; init; } = 1000;

    /// <summary>The most keys read at once. Default 100; 1 to 1,000,000.</summary>
    public int GetManyKeysMax { get; init; } = 100;

    /// <summary>The most bytes of values read at once. Default 26,214,400 (25 MiB); at least 0.</summary>
    public long GetManyBytesMax { get; init; } = 25 * 1024 * 1024;

    /// <summary>The most keys that the namespace may hold; null for any number. Default null; at least 1. Counted at each put.</summary>
    public long? NamespaceKeysMax { get; init; }

    /// <summary>The most bytes of keys, metadata and values that the namespace may hold; null for any number. Default null; at least 1. Counted at each put.</summary>
    public long? NamespaceBytesMax { get; init; }

    /// <summary>Whether listings have pages. When not, a limit or a cursor is refused (400), and a list shows all keys. Default true.</summary>
    public bool IsListPaged { get; init; } = true;

    /// <summary>The least time between two writes to one key, where <see cref="KvNamespaceOptions.EnforceWriteRate"/>. Default one second; 0 or more.</summary>
    public TimeSpan KeyWriteInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The least time between any two writes, where <see cref="KvNamespaceOptions.EnforceWriteRate"/>. Default 0; 0 or more.</summary>
    public TimeSpan NamespaceWriteInterval { get; init; }

    /// <summary>Checks every limit against its range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A limit is out of its range; the message names it, its value and the range.</exception>
    public void Validate()
    {
        Check(nameof(KeyBytesMax), KeyBytesMax, 1, 4095);
        Check(nameof(ValueBytesMax), ValueBytesMax, 0, 1 << 30);
        Check(nameof(MetadataBytesMax), MetadataBytesMax, 0, 65_535);
        Check(nameof(ExpirationTtlMin) + " (seconds)", (long)ExpirationTtlMin.TotalSeconds, 1, int.MaxValue);
        Check(nameof(CacheTtlMin) + " (seconds)", (long)CacheTtlMin.TotalSeconds, 0, int.MaxValue);
        Check(nameof(ListKeysMax), ListKeysMax, 1, 1_000_000);
        Check(nameof(GetManyKeysMax), GetManyKeysMax, 1, 1_000_000);
        Check(nameof(GetManyBytesMax), GetManyBytesMax, 0, long.MaxValue);
        Check(nameof(NamespaceKeysMax), NamespaceKeysMax ?? 1, 1, long.MaxValue);
        Check(nameof(NamespaceBytesMax), NamespaceBytesMax ?? 1, 1, long.MaxValue);
        Check(nameof(KeyWriteInterval) + " (seconds)", (long)Math.Floor(KeyWriteInterval.TotalSeconds), 0, int.MaxValue);
        Check(nameof(NamespaceWriteInterval) + " (seconds)", (long)Math.Floor(NamespaceWriteInterval.TotalSeconds), 0, int.MaxValue);
    }

    private static void Check(string name, long value, long min, long max)
    {
        if (value < min || value > max)
        {
            throw OutOfRange.Exception(
                $"{nameof(KvLimits)}.{name}", value, Invariant($"{nameof(KvLimits)}.{name} is {value}; it must be {min} to {max}."));
        }
    }
}
