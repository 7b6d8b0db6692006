using System.Globalization;

namespace KvStore.Tests.Watching;

[Collection(AloneCollection.Name)]
public sealed class WatchMemoryTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _time = new();
    private KvNamespace _kv = null!;

    public Task InitializeAsync()
    {
        _kv = KvNamespace.Create("test", new KvNamespaceOptions { TimeProvider = _time });
        return Task.CompletedTask;
    }

    public async Task DisposeAsync() => await _kv.DisposeAsync();

    [Fact]
    public async Task Unread_watch_costs_little_for_each_key_and_nothing_for_each_version()
    {
        await using var watch = Watch.Begin(_kv, new KvWatchOptions { Start = KvWatchStart.Current });
        (await watch.NextAsync(1)).Should().Equal("current");
        var value = new byte[1000];
        for (var i = 0; i < 20_000; i++)
        {
            await _kv.PutAsync(Key(i), value);
        }

        var before = GC.GetTotalMemory(forceFullCollection: true) - _kv.MemoryBytes;
        for (var i = 0; i < 100_000; i++)
        {
            await _kv.PutAsync(Key(i % 20_000), value);
        }

        _time.Advance(TimeSpan.FromSeconds(5));
        (GC.GetTotalMemory(forceFullCollection: true) - _kv.MemoryBytes - before).Should().BeLessThan(2 << 20);
        GC.KeepAlive(watch);
    }

    [Fact]
    public async Task Watch_that_was_abandoned_is_collected()
    {
        await AbandonAsync();
        for (var i = 0; i < 50 && _kv.Changes.WatcherCount > 0; i++)
        {
            GC.Collect();
            await _kv.PutAsync("a", "1");
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        _kv.Changes.WatcherCount.Should().Be(0);

        async Task AbandonAsync()
        {
            var changes = _kv.WatchAsync(new KvWatchOptions { Start = KvWatchStart.Current }).GetAsyncEnumerator();
            (await changes.MoveNextAsync()).Should().BeTrue();
            _kv.Changes.WatcherCount.Should().Be(1);
        }
    }

    [Fact]
    public async Task Watch_that_waits_goes_on_though_nobody_knows_its_task()
    {
        var seen = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        Begin();
        for (var i = 0; i < 5; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        await _kv.PutAsync("a", "1");
        (await seen.Task.WaitAsync(TimeSpan.FromSeconds(30))).Should().Be("a");

        void Begin() => _ = ReadAsync();

        async Task ReadAsync()
        {
            await foreach (var change in _kv.WatchAsync())
            {
                seen.SetResult(change.Key);
                break;
            }
        }
    }

    private static string Key(int i) => string.Create(CultureInfo.InvariantCulture, $"key:{i:D6}");
}
