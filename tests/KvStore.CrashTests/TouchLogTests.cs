using KvStore.Persistence.Log;

namespace KvStore.CrashTests;

/// <summary>What touches cost in the log, and what becomes of them there.</summary>
public sealed class TouchLogTests
{
    private const int Touches = 50;

    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));

    [Theory]
    [InlineData(10)]
    [InlineData(100_000)]
    [InlineData(1_000_000)]
    public async Task Touch_costs_a_small_record_whatever_the_length_of_the_value(int length)
    {
        var without = await LogBytesAsync(length, touches: 0);
        var with = await LogBytesAsync(length, Touches);

        // 36 bytes and a key of 3; or a reference of 24 in the place of the revision of 8.
        (with - without).Should().Be(Touches * (length < 1_000_000 ? 40 : 56));
    }

    [Fact]
    public async Task Entry_is_whole_after_touches_before_during_and_after_a_compaction()
    {
        using var disk = new SimulatedDisk();
        var host = await NamespaceHost.OpenAsync(Stores.On(disk), _time);
        await host.PutAsync("key", "value", 1_700_000_060);
        await host.TouchAsync("key", 1_700_000_070);
        await host.Persistence.CompactAsync();
        await host.TouchAsync("key", 1_700_000_080);
        await host.Persistence.CompactAsync();
        var compacting = Enumerable.Range(0, 5).Select(async i =>
        {
            await host.Persistence.CompactAsync();
            await host.PutAsync("other", $"{i}");
        });
        await Task.WhenAll(compacting.Append(host.TouchAsync("key", 1_700_000_090)));
        await host.TouchAsync("key", 1_700_000_100);
        await host.DisposeAsync();

        _time.Advance(TimeSpan.FromSeconds(95));
        host = await NamespaceHost.OpenAsync(Stores.On(disk), _time);
        host.State["key"].Should().Be("value");
        host.Deadlines["key"].Should().Be(1_700_000_100);
        await host.Persistence.CompactAsync();
        await host.DisposeAsync();
        disk.Files.Keys.Should().NotContain(name => name.EndsWith(".log", StringComparison.Ordinal) && disk.Files[name].Length > LogFormat.HeaderBytes + LogFormat.EndBytes);

        host = await NamespaceHost.OpenAsync(Stores.On(disk), _time);
        host.Deadlines["key"].Should().Be(1_700_000_100);
        await host.DisposeAsync();
        _time.Advance(TimeSpan.FromSeconds(5));
        host = await NamespaceHost.OpenAsync(Stores.On(disk), _time);
        host.State.Should().NotContainKey("key");
        await host.DisposeAsync();
    }

    [Fact]
    public async Task Entries_touched_often_are_recovered_from_many_logs()
    {
        using var disk = new SimulatedDisk();
        var host = await NamespaceHost.OpenAsync(Stores.On(disk), _time);
        for (var i = 0; i < 40; i++)
        {
            await host.PutAsync($"key {i}", $"value {i}", 1_700_000_060);
        }

        for (var round = 1; round <= 10; round++)
        {
            for (var i = 0; i < 40; i++)
            {
                await host.TouchAsync($"key {i}", 1_700_000_060 + (uint)(i % 2 == 0 ? round * 10 : 0));
            }
        }

        disk.Files.Keys.Count(name => name.EndsWith(".log", StringComparison.Ordinal)).Should().BeGreaterThan(3);
        await host.DisposeAsync();
        _time.Advance(TimeSpan.FromSeconds(100));

        host = await NamespaceHost.OpenAsync(Stores.On(disk), _time);
        host.State.Should().Equal(Enumerable.Range(0, 20).ToDictionary(i => $"key {2 * i}", i => $"value {2 * i}").OrderBy(pair => pair.Key, StringComparer.Ordinal));
        host.Deadlines.Values.Should().OnlyContain(deadline => deadline == 1_700_000_160);
        await host.DisposeAsync();
    }

    private async Task<long> LogBytesAsync(int length, int touches)
    {
        using var disk = new SimulatedDisk();
        var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions
        {
            TimeProvider = _time,
            Persistence = new FilePersistence("disk", new FilePersistenceOptions { LogFileBytes = 4 << 20 }, _ => disk),
        });
        await kv.PutAsync("key", new byte[length]);
        for (var i = 0; i < touches; i++)
        {
            (await kv.TouchAsync("key", i % 2 == 0 ? null : TimeSpan.FromSeconds(60 + i))).Should().BeTrue();
        }

        await kv.DisposeAsync();
        return disk.Files.Where(file => file.Key.EndsWith(".log", StringComparison.Ordinal)).Sum(file => file.Value.LongLength);
    }
}
