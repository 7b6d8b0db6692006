using KvStore.TestKit.Persistence;

namespace KvStore.Tests.Replication;

/// <summary>Regions of a namespace that is kept: what is durable is the newest state, not who has heard of it.</summary>
public sealed class PersistedRegionsTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly MemoryPersistence _kept = new();
    private readonly GatedPersistence _gated;
    private KvNamespace? _kv;

    public PersistedRegionsTests() => _gated = new GatedPersistence(_kept);

    public async ValueTask DisposeAsync()
    {
        _gated.OpenGate();
        if (_kv is not null)
        {
            await _kv.DisposeAsync();
        }
    }

    [Fact]
    public async Task After_a_restart_all_regions_agree_on_the_newest()
    {
        await Open(KvLag.Fixed(TimeSpan.FromSeconds(10)));
        await In("jnb").PutAsync("k", "old");
        _time.Advance(TimeSpan.FromSeconds(10));
        await In("jnb").PutAsync("k", "new");
        await In("jnb").DeleteAsync("gone");
        (await See("k")).Should().Be("new old old");

        await Open(KvLag.Fixed(TimeSpan.FromSeconds(10)));

        (await See("k")).Should().Be("new new new");
        _kv!.Replication!.PendingCount.Should().Be(0);
    }

    [Fact]
    public async Task Write_is_visible_nowhere_before_it_is_durable_and_is_sent_to_regions_then()
    {
        await Open(KvLag.Fixed(TimeSpan.FromSeconds(10)));
        _gated.CloseGate();
        var put = In("lhr").PutAsync("k", "v");
        _time.Advance(TimeSpan.FromSeconds(60));
        (await See("k")).Should().Be("- - -");

        _gated.Let(0);
        await put;

        (await See("k")).Should().Be("- v -");
        _time.Advance(TimeSpan.FromSeconds(10));
        (await See("k")).Should().Be("v v v");
    }

    [Fact]
    public async Task Writes_durable_in_another_order_end_with_the_highest_revision_everywhere()
    {
        await Open(KvLag.Fixed(TimeSpan.FromSeconds(10)));
        _gated.CloseGate();
        var older = In("jnb").PutAsync("k", "older");
        var newer = In("lhr").PutAsync("k", "newer");

        _gated.Let(1);
        await newer;
        (await See("k")).Should().Be("- newer -");
        _time.Advance(TimeSpan.FromSeconds(1));
        _gated.Let(0);
        await older;
        (await See("k")).Should().Be("older newer -");

        _time.Advance(TimeSpan.FromSeconds(9));
        (await See("k")).Should().Be("newer newer newer");
        _time.Advance(TimeSpan.FromSeconds(10));
        (await See("k")).Should().Be("newer newer newer");
        _kv!.Replication!.PendingKeyCount.Should().Be(0);
    }

    [Fact]
    public async Task Write_that_cannot_be_made_durable_is_sent_to_no_region()
    {
        await Open(KvLag.Fixed(TimeSpan.FromSeconds(10)));
        _gated.CloseGate();
        var put = In("lhr").PutAsync("k", "v");
        var delete = In("lhr").DeleteAsync("k");

        _gated.Fail();

        var acts = new Func<Task>[] { () => put.AsTask(), () => delete.AsTask() };
        foreach (var act in acts)
        {
            await act.Should().ThrowAsync<KvPersistenceException>();
        }

        (await See("k")).Should().Be("- - -");
        _kv!.Replication!.PendingCount.Should().Be(0);
    }

    [Fact]
    public async Task A_write_that_loses_by_a_wrong_clock_is_not_kept_so_that_the_winner_is_recovered()
    {
        await Open(KvLag.Fixed(TimeSpan.FromSeconds(10)));
        _kv!.Replication!.SetClockSkew("jnb", TimeSpan.FromSeconds(60));
        await In("jnb").PutAsync("k", "winner");
        await In("lhr").PutAsync("k", "loser");
        (await See("k")).Should().Be("winner loser -");
        await In("jnb").PutAsync("kept", "winner");
        await In("lhr").DeleteAsync("kept");

        await Open(KvLag.Fixed(TimeSpan.FromSeconds(10)));

        (await See("k")).Should().Be("winner winner winner");
        (await See("kept")).Should().Be("winner winner winner");
    }

    [Fact]
    public async Task A_delete_arrives_late_and_is_kept()
    {
        await Open(KvLag.Fixed(TimeSpan.FromSeconds(10)));
        await In("jnb").PutAsync("k", "v");
        _time.Advance(TimeSpan.FromSeconds(10));
        _gated.CloseGate();
        var delete = In("lhr").DeleteAsync("k");
        _gated.Let(0);
        await delete;
        _gated.OpenGate();
        (await See("k")).Should().Be("v - v");

        await In("jnb").DeleteAsync("k");
        (await See("k")).Should().Be("- - v");
        await In("sfo").DeleteAsync("k");
        (await See("k")).Should().Be("- - -");

        await Open(KvLag.None);
        (await See("k")).Should().Be("- - -");
    }

    [Fact]
    public async Task Region_reads_a_replaced_large_value_until_the_new_one_is_delivered()
    {
        await Open(KvLag.Fixed(TimeSpan.FromSeconds(10)));
        var large = new string('x', 5000);
        await In("jnb").PutAsync("k", large, new KvPutOptions { Metadata = KvMetadata.FromJson("1") });
        _time.Advance(TimeSpan.FromSeconds(10));
        await In("jnb").PutAsync("k", large + "2");
        await In("jnb").PutAsync("k", "small");

        for (var time = 0; time < 3; time++)
        {
            (await In("lhr").GetTextAsync("k")).Should().Be(large);
            var value = await In("lhr").GetAsync("k");
            value.IsLarge.Should().BeTrue();
            value.Metadata.ToString().Should().Be("1");
            await using var stream = await In("lhr").GetStreamAsync("k");
            new StreamReader(stream!).ReadToEnd().Should().Be(large);
            (await In("lhr").GetManyAsync(["k"]))["k"].GetText().Should().Be(large);
        }

        (await In("jnb").GetTextAsync("k")).Should().Be("small");
        _time.Advance(TimeSpan.FromSeconds(10));
        (await See("k")).Should().Be("small small small");
    }

    [Fact]
    public async Task Large_value_that_was_replaced_is_readable_in_a_region_that_receives_it_later()
    {
        await Open(KvLag.Fixed(TimeSpan.FromSeconds(10)));
        var large = new string('x', 5000);
        await In("jnb").PutAsync("k", large);
        _time.Advance(TimeSpan.FromSeconds(5));
        await In("jnb").PutAsync("k", "small");

        _time.Advance(TimeSpan.FromSeconds(5));

        (await In("lhr").GetTextAsync("k")).Should().Be(large);
    }

    [Fact]
    public async Task A_cache_keeps_a_large_value_readable()
    {
        await Open(KvLag.None, new KvEdgeCacheOptions());
        var large = new string('x', 5000);
        await In("jnb").PutAsync("k", large);
        (await In("lhr").GetTextAsync("k")).Should().Be(large);
        await In("jnb").DeleteAsync("k");

        (await In("lhr").GetTextAsync("k")).Should().Be(large);
        (await In("lhr").GetAsync("k")).CacheStatus.Should().Be("HIT");
        (await In("lhr").GetBytesAsync("k"))!.Value.Length.Should().Be(5000);
    }

    [Fact]
    public async Task A_large_loser_by_a_wrong_clock_is_given_up()
    {
        await Open(KvLag.Fixed(TimeSpan.FromSeconds(10)));
        _kv!.Replication!.SetClockSkew("jnb", TimeSpan.FromSeconds(60));
        var large = new string('x', 5000);
        await In("jnb").PutAsync("k", "winner");
        await In("lhr").PutAsync("k", large);

        (await In("lhr").GetTextAsync("k")).Should().Be(large);
        _time.Advance(TimeSpan.FromSeconds(10));
        (await See("k")).Should().Be("winner winner winner");
        _kept.LargeValues!.TryOpen(new KvValueReference(1, 5000), out _).Should().BeFalse("nobody needs it any more");
    }

    private IKvNamespace In(string region) => _kv!.InRegion(region);

    private async Task<string> See(string key)
    {
        var seen = new List<string>();
        foreach (var region in new[] { "jnb", "lhr", "sfo" })
        {
            seen.Add(await In(region).GetTextAsync(key) ?? "-");
        }

        return string.Join(' ', seen);
    }

    private async Task Open(IKvLagModel lag, KvEdgeCacheOptions? cache = null)
    {
        if (_kv is not null)
        {
            await _kv.DisposeAsync();
        }

        _kv = await KvNamespace.OpenAsync("FLAGS", new KvNamespaceOptions
        {
            TimeProvider = _time,
            Persistence = _gated,
            Replication = new KvReplicationOptions { Regions = ["jnb", "lhr", "sfo"], Lag = lag, EdgeCache = cache },
        });
    }

    /// <summary>A provider that makes mutations durable when the test says so, in the order that the test chooses.</summary>
    private sealed class GatedPersistence(MemoryPersistence inner) : IKvPersistence
    {
        private readonly List<TaskCompletionSource> _waiting = [];
        private bool _isClosed;

        public KvPersistenceHealth Health => inner.Health;

        public IKvLargeValues? LargeValues => inner.LargeValues;

        public void CloseGate() => _isClosed = true;

        public void OpenGate() => _isClosed = false;

        public void Let(int append) => _waiting[append].SetResult();

        public void Fail() => _waiting.ForEach(waiting => waiting.SetException(new KvPersistenceException("The disk is full.")));

        public async ValueTask AppendWaiting(TaskCompletionSource waiting, KvMutation mutation)
        {
            await waiting.Task;
            await inner.AppendAsync(mutation);
        }

        public ValueTask AppendAsync(in KvMutation mutation, CancellationToken cancellationToken = default)
        {
            if (!_isClosed)
            {
                return inner.AppendAsync(mutation, cancellationToken);
            }

            var waiting = new TaskCompletionSource();
            _waiting.Add(waiting);
            return AppendWaiting(waiting, mutation);
        }

        public ValueTask<KvRecovery> OpenAsync(IKvPersistenceHost host, CancellationToken cancellationToken = default) =>
            inner.OpenAsync(host, cancellationToken);

        public ValueTask FlushAsync(CancellationToken cancellationToken = default) => inner.FlushAsync(cancellationToken);

        public ValueTask CompactAsync(CancellationToken cancellationToken = default) => inner.CompactAsync(cancellationToken);

        public ValueTask SnapshotAsync(string directory, CancellationToken cancellationToken = default) =>
            inner.SnapshotAsync(directory, cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
