using System.Diagnostics;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.StackExchangeRedis;
using Microsoft.Extensions.Options;
using Npgsql;

namespace KvStore.Comparisons.Peers;

/// <summary>A distributed cache on a server, as one process has it: one caller that gets or sets entries one after the other.</summary>
internal sealed class CacheClient : IDisposable
{
    public const string KvStore = "KvStore in PostgreSQL";
    public const string Table = "table in PostgreSQL";
    public const string Redis = "Redis";
    public const string Get = "get";
    public const string Set = "set";

    /// <summary>How many entries there are.</summary>
    public const int Keys = 1000;

    private const int CallsBetweenLooks = 16;

    private static readonly DistributedCacheEntryOptions s_absolute = new() { AbsoluteExpirationRelativeToNow = TimeSpan.FromHours(10) };

    private readonly string[] _accesses = Workload.Uniform(Keys, 4096);
    private readonly byte[] _value = Workload.Value(0);
    private readonly OwnedCaches _owned = new();
    private readonly IDistributedCache _cache;
    private int _next;

    /// <param name="name">Which cache.</param>
    /// <param name="address">The connection string of the database, or host and port of Redis.</param>
    public CacheClient(string name, string address) => _cache = name switch
    {
        KvStore => _owned.AddOver(KvPostgreSql.OpenAsync(OwnedCaches.Namespace, address).AsTask().GetAwaiter().GetResult()),
        Table => new PostgreSqlCache(_owned.Add(NpgsqlDataSource.Create(address))),
        Redis => _owned.Add(new RedisCache(Options.Create(new RedisCacheOptions { Configuration = address }))),
        _ => throw new ArgumentException($"There is no cache \"{name}\".", nameof(name)),
    };

    /// <summary>Sets every entry.</summary>
    public void Fill()
    {
        foreach (var key in Workload.Keys(Keys))
        {
            _cache.Set(key, _value, s_absolute);
        }
    }

    /// <summary>Waits until every entry is there, whichever process has set it.</summary>
    public void WaitUntilFull()
    {
        foreach (var key in Workload.Keys(Keys))
        {
            for (var clock = Stopwatch.StartNew(); _cache.Get(key) is null; Thread.Sleep(10))
            {
                if (clock.Elapsed > TimeSpan.FromSeconds(30))
                {
                    throw new InvalidOperationException("An entry that another process has set does not arrive.");
                }
            }
        }
    }

    /// <summary>Calls the cache for so long, and returns the nanoseconds of a call.</summary>
    public double Run(string call, TimeSpan duration)
    {
        var clock = Stopwatch.StartNew();
        var calls = 0L;
        do
        {
            for (var i = 0; i < CallsBetweenLooks; i++)
            {
                var key = _accesses[_next++ % _accesses.Length];
                if (call != Get)
                {
                    _cache.Set(key, _value, s_absolute);
                }
                else if (_cache.Get(key) is not { Length: Workload.ValueBytes })
                {
                    throw new InvalidOperationException("An entry is not there.");
                }
            }

            calls += CallsBetweenLooks;
        }
        while (clock.Elapsed < duration);
        return clock.Elapsed.TotalNanoseconds / calls;
    }

    public void Dispose() => _owned.Dispose();
}
