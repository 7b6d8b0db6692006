namespace KvStore.Comparisons;

/// <summary>
/// The keys and values that every question uses: 24 characters of ASCII, 100 bytes. Accesses are fresh string instances, in the order
/// of the reads, so that no peer profits from comparing references or pays for loading the requested key.
/// </summary>
internal static class Workload
{
    public const int ValueBytes = 100;
    private const string Prefix = "session:";
    private const double ZipfExponent = 0.99;

    /// <summary>The key of an entry. The number is mixed, so that keys put one after the other are not neighbours in key
    /// order.</summary>
    public static string Key(int index) => $"{Prefix}{Mix((ulong)index):x16}";

    /// <summary>A key of the same form that no entry has.</summary>
    public static string AbsentKey(int index) => Key(index + (1 << 30));

    /// <summary>A prefix that selects one in 16^<paramref name="hexDigits"/> of the keys.</summary>
    public static string PrefixOf(string key, int hexDigits) => key[..(Prefix.Length + hexDigits)];

    /// <summary>A new value. Its first byte depends on the entry, so that reading it cannot be optimized away.</summary>
    public static byte[] Value(int index)
    {
        var value = new byte[ValueBytes];
        value.AsSpan().Fill((byte)('a' + (index & 15)));
        return value;
    }

    /// <summary>The keys 0 to <paramref name="count"/> - 1, in that order.</summary>
    public static string[] Keys(int count)
    {
        var keys = new string[count];
        for (var i = 0; i < count; i++)
        {
            keys[i] = Key(i);
        }

        return keys;
    }

    /// <summary>Accesses to <paramref name="count"/> keys, all equally likely.</summary>
    public static string[] Uniform(int count, int accesses, int seed = 1)
    {
        var random = new Random(seed);
        return Make(accesses, () => Key(random.Next(count)));
    }

    /// <summary>Accesses to keys of the same form that do not exist.</summary>
    public static string[] Absent(int count, int accesses, int seed = 2)
    {
        var random = new Random(seed);
        return Make(accesses, () => AbsentKey(random.Next(count)));
    }

    /// <summary>
    /// Accesses with the k-th most popular key read in proportion to 1/k^0.99; which keys are popular is random.
    /// </summary>
    public static string[] Zipf(int count, int accesses, int seed = 3)
    {
        var random = new Random(seed);
        var cumulative = new double[count];
        var sum = 0.0;
        for (var rank = 0; rank < count; rank++)
        {
            sum += 1 / Math.Pow(rank + 1, ZipfExponent);
            cumulative[rank] = sum;
        }

        var popularity = new int[count];
        for (var i = 0; i < count; i++)
        {
            popularity[i] = i;
        }

        random.Shuffle(popularity);
        return Make(accesses, () =>
        {
            var found = Array.BinarySearch(cumulative, random.NextDouble() * sum);
            return Key(popularity[Math.Min(found < 0 ? ~found : found, count - 1)]);
        });
    }

    private static string[] Make(int accesses, Func<string> next)
    {
        var keys = new string[accesses];
        for (var i = 0; i < accesses; i++)
        {
            keys[i] = next();
        }

        return keys;
    }

    // SplitMix64's finalizer: a bijection, so distinct numbers make distinct keys.
    private static ulong Mix(ulong x)
    {
        x += 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }
}
