namespace KvStore.Benchmarks.Suites;

/// <summary>The distribution of accesses over the keys.</summary>
public enum Popularity
{
    /// <summary>Every key is equally likely.</summary>
    Uniform,

    /// <summary>The k-th most popular key is read in proportion to 1/k^0.99.</summary>
    Zipf,
}

/// <summary>The sizes that the suites run with.</summary>
public static class Sizes
{
    /// <summary>Whether the suites run in short form (<c>--short</c>): few keys, and nothing that takes long.</summary>
    public static bool IsShort { get; set; }

    /// <summary>How many keys a store holds.</summary>
    public static IEnumerable<int> KeyCounts => IsShort ? [1000] : [1000, 100_000, 1_000_000];

    /// <summary>How many keys a store has that is filled or listed.</summary>
    public static IEnumerable<int> LargeKeyCounts => IsShort ? [2000] : [10_000, 100_000, 1_000_000];
}
