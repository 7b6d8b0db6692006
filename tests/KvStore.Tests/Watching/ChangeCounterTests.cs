namespace KvStore.Tests.Watching;

public sealed class ChangeCounterTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 11, 26, 0, 0, 0, TimeSpan.Zero));
    private KvNamespace _kv = null!;

    public Task InitializeAsync()
    {
        _kv = KvNamespace.Create("test", new KvNamespaceOptions { TimeProvider = _time });
        return Task.CompletedTask;
    }

    public async Task DisposeAsync() => await _kv.DisposeAsync();

    [Fact]
    public async Task Every_kind_of_write_is_counted_before_it_completes()
    {
        using var counter = _kv.CountChanges("a/");
        Func<ValueTask>[] writes =
        [
            () => _kv.PutAsync("a/1", "1"),
            () => _kv.PutAsync("a/1", "1"),
            async () => await _kv.TryPutAsync("a/1", "2", KvCondition.Present),
            async () => await _kv.TouchAsync("a/1", TimeSpan.FromHours(1)),
            async () => await _kv.PutManyAsync([new KvEntry("a/2", "2")]),
            () => _kv.DeleteAsync("a/1"),
            async () => await _kv.DeletePrefixAsync(""),
        ];

        await _kv.PutAsync("a/2", "2");
        foreach (var write in writes)
        {
            KvChangeStamp[] before = [counter.StampOf("a/1"u8), counter.StampOf("a/2"u8)];
            await write();
            before.Count(stamp => !counter.IsUnchanged(stamp)).Should().BePositive();
        }
    }

    [Fact]
    public async Task Other_keys_and_reads_are_not_counted()
    {
        await _kv.PutAsync("a/1", "1");
        using var counter = _kv.CountChanges("a/");
        var stamp = counter.StampOf("a/1"u8);
        await _kv.PutAsync("a", "1");
        await _kv.PutAsync("b/1", "1");
        await _kv.DeleteAsync("a/2");
        await _kv.TryPutAsync("a/1", "2", KvCondition.Absent);
        _ = await _kv.GetAsync("a/1");

        counter.IsUnchanged(stamp).Should().BeTrue();
        counter.IsUnchanged(default).Should().BeFalse();
    }

    [Fact]
    public async Task Change_of_a_key_leaves_the_stamps_of_nearly_all_other_keys()
    {
        using var counter = _kv.CountChanges();
        var stamps = Enumerable.Range(0, 1000).Select(i => counter.StampOf(System.Text.Encoding.UTF8.GetBytes($"key {i}"))).ToArray();
        for (var i = 0; i < 10; i++)
        {
            await _kv.PutAsync($"key {i}", "1");
        }

        stamps.Count(stamp => !counter.IsUnchanged(stamp)).Should().BeInRange(10, 50);
    }

    [Fact]
    public async Task Expiration_is_counted_when_the_entry_is_removed()
    {
        await _kv.PutAsync("a/1", "1", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(1) });
        using var counter = _kv.CountChanges("a/");
        var stamp = counter.StampOf("a/1"u8);
        _time.Advance(TimeSpan.FromMinutes(2));
        SpinWait.SpinUntil(() => !counter.IsUnchanged(stamp), TimeSpan.FromMinutes(1)).Should().BeTrue();
    }

    [Fact]
    public async Task Disposed_counter_stands_still()
    {
        using var other = _kv.CountChanges();
        var counter = _kv.CountChanges();
        var (stamp, otherStamp) = (counter.StampOf("a"u8), other.StampOf("a"u8));
        counter.Dispose();
        counter.Dispose();
        await _kv.PutAsync("a", "1");

        (counter.IsUnchanged(stamp), other.IsUnchanged(otherStamp)).Should().Be((true, false));
    }

    [Fact]
    public async Task Disposing_the_namespace_is_counted_and_ends_it()
    {
        var counter = _kv.CountChanges();
        var stamp = counter.StampOf("a"u8);
        await _kv.DisposeAsync();

        counter.IsUnchanged(stamp).Should().BeFalse();
        counter.Dispose();
        FluentActions.Invoking(() => _kv.CountChanges()).Should().Throw<ObjectDisposedException>();
    }

    [Fact]
    public void Prefix_that_no_key_can_have_is_refused() =>
        FluentActions.Invoking(() => _kv.CountChanges(new string('a', 513))).Should().Throw<KvException>().Which.StatusCode.Should().Be(414);

    /// <summary>A reader that sees the stamp unchanged never sees an older value than the entry has.</summary>
    [Fact]
    public async Task Unchanged_stamp_means_that_what_was_read_still_stands()
    {
        using var counter = _kv.CountChanges("a/");
        await _kv.PutAsync("a/1", "0");
        var written = 0L;
        var isDone = false;
        var readers = Enumerable.Range(0, 3).Select(_ => Task.Run(() =>
        {
            var (stamp, seen) = (default(KvChangeStamp), -1L);
            while (!Volatile.Read(ref isDone))
            {
                var atLeast = Volatile.Read(ref written);
                if (!counter.IsUnchanged(stamp))
                {
                    stamp = counter.StampOf("a/1"u8);
                    _kv.TryGet("a/1", out var value);
                    seen = long.Parse(value.GetText()!, System.Globalization.CultureInfo.InvariantCulture);
                }

                if (seen < atLeast)
                {
                    return false;
                }
            }

            return true;
        })).ToArray();
        for (var i = 1; i <= 20_000; i++)
        {
            await _kv.PutAsync("a/1", i.ToString(System.Globalization.CultureInfo.InvariantCulture));
            Volatile.Write(ref written, i);
        }

        Volatile.Write(ref isDone, true);
        (await Task.WhenAll(readers)).Should().AllBeEquivalentTo(true);
    }
}
