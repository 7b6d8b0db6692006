using KvStore.Distributed;
using KvStore.TestKit.Persistence;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Internal;
using Microsoft.Extensions.Options;

namespace KvStore.Caching.Tests.Distributed;

/// <summary>A distributed cache on the clock of a test, which can be restarted.</summary>
public abstract class CacheUnderTest : IAsyncDisposable
{
    public static readonly DateTimeOffset Start = DateTimeOffset.FromUnixTimeMilliseconds(1_764_213_342_321);

    public FakeTimeProvider Clock { get; } = new(Start);

    public abstract IDistributedCache Cache { get; }

    public DateTimeOffset Now => Clock.GetUtcNow();

    /// <summary>Lets time go by. What was written before has been written then.</summary>
    public async ValueTask AdvanceAsync(TimeSpan time)
    {
        await SettleAsync();
        Clock.Advance(time);
    }

    public ValueTask AdvanceAsync(double milliseconds) => AdvanceAsync(TimeSpan.FromMilliseconds(milliseconds));

    /// <summary>Ends the cache and begins it again with what it has kept.</summary>
    public virtual ValueTask RestartAsync() => default;

    /// <summary>Waits for what the cache writes behind the back of its callers.</summary>
    public virtual ValueTask SettleAsync() => default;

    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return default;
    }
}

/// <summary>The framework's cache in memory, which does not survive a restart.</summary>
public sealed class FrameworkCache : CacheUnderTest
{
    public FrameworkCache() => Cache = new MemoryDistributedCache(Options.Create(new MemoryDistributedCacheOptions { Clock = new SystemClock(Clock) }));

    public override IDistributedCache Cache { get; }

    private sealed class SystemClock(TimeProvider clock) : ISystemClock
    {
        public DateTimeOffset UtcNow => clock.GetUtcNow();
    }
}

/// <summary>Our cache: in a namespace in memory, of which only the cache is restarted, or in one on a simulated disk.</summary>
public sealed class KvCache : CacheUnderTest
{
    private static readonly KvAdapter s_adapter = new() { Name = "distributed_cache", Namespace = "CACHE_KV", Prefix = "cache/", RegisteredBy = "a test" };

    private readonly bool _isPersisted;
    private readonly KvNamespaceOptions _options;
    private SimulatedDisk _disk = new();
    private KvDistributedCache _cache = null!;

    private KvCache(bool isPersisted, KvNamespaceOptions? options)
    {
        _isPersisted = isPersisted;
        _options = options ?? new KvNamespaceOptions();
    }

    public override IDistributedCache Cache => _cache;

    public IBufferDistributedCache Buffers => _cache;

    public KvNamespace Namespace { get; private set; } = null!;

    public LogLines Log { get; } = new();

    internal CacheEntries Entries => _cache.Entries;

    internal SimulatedDisk Disk => _disk;

    public static async Task<KvCache> OpenAsync(bool isPersisted, KvNamespaceOptions? options = null)
    {
        var cache = new KvCache(isPersisted, options);
        await cache.OpenAsync();
        return cache;
    }

    public override async ValueTask RestartAsync()
    {
        await _cache.DisposeAsync();
        if (_isPersisted)
        {
            await Namespace.DisposeAsync();
            Namespace = null!;
        }

        await OpenAsync();
    }

    /// <summary>Ends the process without warning, and begins it again with what is on the disk.</summary>
    public async Task CrashAsync()
    {
        await SettleAsync();
        var crashed = Namespace;
        if (_isPersisted)
        {
            _disk = _disk.AfterKill();
            Namespace = null!;
        }

        await OpenAsync();
        if (_isPersisted)
        {
            // Its disk is gone.
            await FluentActions.Awaiting(() => crashed.DisposeAsync().AsTask()).Should().ThrowAsync<KvPersistenceException>();
        }
    }

    public override ValueTask SettleAsync() => Namespace.FlushAsync();

    public override async ValueTask DisposeAsync()
    {
        await _cache.DisposeAsync();
        await Namespace.DisposeAsync();
        await base.DisposeAsync();
    }

    private async Task OpenAsync()
    {
        var disk = _disk;
        Namespace ??= await KvNamespace.OpenAsync("CACHE_KV", _options with
        {
            TimeProvider = Clock,
            Persistence = _isPersisted ? new FilePersistence("disk", new FilePersistenceOptions(), _ => disk) : null,
        });
        _cache = new KvDistributedCache(Namespace, s_adapter, Log);
    }
}
