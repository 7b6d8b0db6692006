namespace KvStore.Tests.Replication;

/// <summary>
/// Whatever regions write and read in whatever order, what a cache serves was the newest no longer ago than the reader allows,
/// it has not expired, and a region never misses its own writes.
/// </summary>
public sealed class EdgeCachePropertyTests
{
    private const int Schedules = 100;
    private const int Operations = 300;
    private static readonly string[] s_regions = ["jnb", "lhr", "sfo"];

    [Fact]
    public async Task Nothing_is_staler_than_its_reader_allows()
    {
        for (var seed = 0; seed < Schedules; seed++)
        {
            await Play(seed);
        }
    }

    private static async Task Play(int seed)
    {
        var random = new Random(seed);
        var time = new FakeTimeProvider();
        var cache = new KvEdgeCacheOptions { RefreshHotKeys = random.Next(2) == 0, EntriesMax = random.Next(2) == 0 ? 3 : 100 };
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions
        {
            TimeProvider = time,
            Limits = new KvLimits { ExpirationTtlMin = TimeSpan.FromSeconds(1) },
            Replication = new KvReplicationOptions { Regions = s_regions, EdgeCache = cache },
        });
        var histories = Enumerable.Range(0, 5).Select(_ => new History()).ToArray();
        for (var i = 0; i < Operations; i++)
        {
            var now = time.GetUtcNow();
            var key = random.Next(histories.Length);
            var region = kv.InRegion(s_regions[random.Next(s_regions.Length)]);
            switch (random.Next(10))
            {
                case < 2:
                    int? ttl = random.Next(3) == 0 ? random.Next(1, 90) : null;
                    var options = new KvPutOptions { ExpirationTtl = ttl is { } seconds ? TimeSpan.FromSeconds(seconds) : null };
                    await region.PutAsync($"k{key}", $"v{i}", options);
                    histories[key].Add(now, $"v{i}", ttl);
                    (await region.GetTextAsync($"k{key}")).Should().Be($"v{i}", "own writes are visible at once");
                    break;
                case 2:
                    await region.DeleteAsync($"k{key}");
                    histories[key].Add(now, value: null, ttl: null);
                    (await region.GetTextAsync($"k{key}")).Should().BeNull("own deletes are visible at once");
                    break;
                case < 5:
                    time.Advance(TimeSpan.FromMilliseconds(random.Next(40_000)));
                    break;
                default:
                    var cacheTtl = TimeSpan.FromSeconds(random.Next(3) switch { 0 => 30, 1 => 120, _ => 60 });
                    var value = await region.GetAsync($"k{key}", cacheTtl.TotalSeconds == 60 ? null : new KvGetOptions { CacheTtl = cacheTtl });
                    histories[key].Holds(value.GetText(), now, value.CacheStatus == "HIT" ? cacheTtl : TimeSpan.Zero)
                        .Should().BeTrue("of seed {0}, operation {1}: {2} {3}", seed, i, value.GetText(), value.CacheStatus);
                    break;
            }
        }
    }

    /// <summary>What a key held when.</summary>
    private sealed class History
    {
        private readonly List<(DateTimeOffset From, string? Value, long? DeadlineHalfSeconds)> _states = [(DateTimeOffset.MinValue, null, null)];

        public void Add(DateTimeOffset at, string? value, int? ttl) => _states.Add((at, value, ((at.ToUnixTimeMilliseconds() + 499) / 500) + (2 * ttl)));

        /// <summary>Whether the key held a value at some time after now - age, up to now, and the value has not expired.</summary>
        public bool Holds(string? value, DateTimeOffset now, TimeSpan age)
        {
            for (var i = _states.Count - 1; i >= 0; i--)
            {
                var (from, held, deadline) = _states[i];
                var hasExpired = deadline * 500 <= now.ToUnixTimeMilliseconds();
                if (held == value && (value is null || !hasExpired))
                {
                    return true;
                }

                // It was also nothing, from its deadline on.
                if (value is null && hasExpired)
                {
                    return true;
                }

                if (from <= now - age)
                {
                    return false;
                }
            }

            return false;
        }
    }
}
