using System.Text;
using KvStore.Values;

namespace KvStore.CrashTests;

/// <summary>
/// The files of large values that were replaced go when their readers are done, without a garbage collection. The test holds every
/// value and every task that it got, so that a collection could give nothing back.
/// </summary>
public sealed class LargeValueLeaseTests : IAsyncLifetime, IDisposable
{
    private const int LargeBytes = 8 * 1024;

    private readonly SimulatedDisk _disk = new();
    private readonly FakeTimeProvider _time = new();
    private readonly List<object> _reachable = [];
    private KvNamespace _kv = null!;

    public async Task InitializeAsync() => _kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions
    {
        Persistence = new FilePersistence("disk", new FilePersistenceOptions { LargeValueBytes = 1024 }, _ => _disk),
        TimeProvider = _time,
    });

    public async Task DisposeAsync() => await _kv.DisposeAsync();

    public void Dispose() => _disk.Dispose();

    public static TheoryData<string> Reads =>
        ["stream", "text", "bytes", "many", "opened and disposed", "opened only", "got only", "got with TryGet", "disposed only", "read half", "seldom"];

    [Theory]
    [MemberData(nameof(Reads))]
    public async Task Overwriting_one_key_again_and_again_leaves_one_file(string read)
    {
        for (var i = 0; i < 400; i++)
        {
            await _kv.PutAsync("k", new byte[LargeBytes / 4]);
            await ReadAsync(read, i);
        }

        // What was got and not disposed is kept for a few seconds.
        _time.Advance(LargeValueLeases.Patience);
        await OnlyOneFileIsLeftAsync();
        GC.KeepAlive(_reachable);
    }

    private async Task ReadAsync(string read, int number)
    {
        switch (read)
        {
            case "stream":
                await using (var stream = (await _kv.GetStreamAsync("k"))!)
                {
                    _reachable.Add(stream);
                    (await stream.ReadAtLeastAsync(new byte[1000], 1000)).Should().Be(1000);
                }

                break;
            case "text":
                (await _kv.GetTextAsync("k"))!.Length.Should().Be(LargeBytes / 4);
                break;
            case "bytes":
                (await _kv.GetBytesAsync("k"))!.Value.Length.Should().Be(LargeBytes / 4);
                break;
            case "many":
                (await _kv.GetTextAsync(["k", "none"]))["k"]!.Length.Should().Be(LargeBytes / 4);
                break;
            case "opened and disposed":
                using (var value = await _kv.GetAsync("k"))
                {
                    _reachable.Add(value);
                    using var stream = value.OpenStream();
                    _reachable.Add(stream);
                }

                break;
            case "opened only":
                var got = await _kv.GetAsync("k");
                _reachable.Add(got);
                using (var opened = got.OpenStream())
                {
                    opened.ReadByte().Should().Be(0);
                }

                break;
            case "got with TryGet":
                _kv.TryGet("k", out var found).Should().BeTrue();
                _reachable.Add(found);
                break;
            case "disposed only":
                var disposed = await _kv.GetAsync("k");
                _reachable.Add(disposed);
                disposed.Dispose();
                disposed.Dispose();
                break;
            case "read half":
                var half = (await _kv.GetStreamAsync("k"))!;
                _reachable.Add(half);
                half.ReadByte();
                await half.DisposeAsync();
                break;
            case "seldom" when number % 50 != 0:
                break;
            default:
                _reachable.Add(await _kv.GetAsync("k"));
                break;
        }
    }

    [Fact]
    public async Task A_value_that_is_disposed_gives_its_file_back_at_once_and_its_streams_go_on()
    {
        await _kv.PutAsync("k", Encoding.UTF8.GetBytes(new string('1', LargeBytes)));
        var value = await _kv.GetAsync("k");
        var stream = value.OpenStream();
        value.Dispose();
        await _kv.PutAsync("k", new byte[LargeBytes]);

        using (var reader = new StreamReader(stream))
        {
            (await reader.ReadToEndAsync()).Should().Be(new string('1', LargeBytes));
        }

        await OnlyOneFileIsLeftAsync();
        value.Invoking(closed => closed.OpenStream()).Should().Throw<ObjectDisposedException>();
        value.Length.Should().Be(LargeBytes);
    }

    [Fact]
    public async Task A_value_that_nobody_disposed_is_readable_for_its_time_and_then_fails_clearly()
    {
        await _kv.PutAsync("k", Encoding.UTF8.GetBytes(new string('1', LargeBytes)), new KvPutOptions { Metadata = KvMetadata.FromJson("1") });
        var value = await _kv.GetAsync("k");
        await _kv.PutAsync("k", "short");
        _time.Advance(LargeValueLeases.Patience - TimeSpan.FromMilliseconds(1));
        value.GetBytes().Length.Should().Be(LargeBytes);

        _time.Advance(TimeSpan.FromMilliseconds(1));
        await FilesAreLeftAsync(_disk, 0);

        var late = value.Invoking(late => late.GetBytes()).Should().Throw<KvException>();
        late.Which.StatusCode.Should().Be(410);
        late.WithMessage("*5 seconds*Get the key again*");
        value.Metadata.ToString().Should().Be("1");
    }

    [Fact]
    public async Task A_value_that_still_stands_is_readable_for_ever()
    {
        await _kv.PutAsync("k", new byte[LargeBytes]);
        var value = await _kv.GetAsync("k");

        _time.Advance(TimeSpan.FromDays(1));

        value.GetBytes().Length.Should().Be(LargeBytes);
        (await value.ReadBytesAsync()).Length.Should().Be(LargeBytes);
    }

    [Fact]
    public async Task Two_readers_of_one_value_do_not_take_it_from_each_other()
    {
        await _kv.PutAsync("k", new byte[LargeBytes]);
        var first = await _kv.GetAsync("k");
        var second = await _kv.GetAsync("k");
        await _kv.PutAsync("k", "short");

        first.Dispose();

        second.GetBytes().Length.Should().Be(LargeBytes);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Regions_that_have_received_every_write_keep_no_file(bool isCached)
    {
        using var disk = new SimulatedDisk();
        await using var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions
        {
            Persistence = new FilePersistence("disk", new FilePersistenceOptions { LargeValueBytes = 1024 }, _ => disk),
            TimeProvider = _time,
            Replication = new KvReplicationOptions
            {
                Regions = ["jnb", "lhr", "sfo"],
                Lag = KvLag.Fixed(TimeSpan.FromSeconds(10)),
                EdgeCache = isCached ? new KvEdgeCacheOptions() : null,
            },
        });
        for (var i = 0; i < 20; i++)
        {
            await kv.InRegion(i % 2 == 0 ? "jnb" : "lhr").PutAsync("k", new byte[LargeBytes / 4]);
            _time.Advance(TimeSpan.FromSeconds(i % 3 * 7));
            foreach (var region in new[] { "jnb", "lhr", "sfo" })
            {
                _ = await kv.InRegion(region).GetBytesAsync("k");
            }
        }

        _time.Advance(TimeSpan.FromMinutes(5));

        await OnlyOneFileIsLeftAsync(disk);
    }

    private Task OnlyOneFileIsLeftAsync() => OnlyOneFileIsLeftAsync(_disk);

    // Removed on the thread pool, after a flush.
    private static Task OnlyOneFileIsLeftAsync(SimulatedDisk disk) => FilesAreLeftAsync(disk, 1);

    private static async Task FilesAreLeftAsync(SimulatedDisk disk, int count)
    {
        for (var attempt = 0; attempt < 2000; attempt++)
        {
            if (disk.Files.Keys.Count(name => name.EndsWith(".value", StringComparison.Ordinal)) <= count)
            {
                return;
            }

            await Task.Delay(5);
        }

        disk.Files.Keys.Where(name => name.EndsWith(".value", StringComparison.Ordinal)).Should().HaveCountLessThanOrEqualTo(count);
    }
}
