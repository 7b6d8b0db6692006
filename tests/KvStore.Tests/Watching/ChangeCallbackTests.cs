using System.Collections.Concurrent;
using System.Globalization;
using System.Text;

namespace KvStore.Tests.Watching;

public sealed class ChangeCallbackTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 11, 26, 0, 0, 0, TimeSpan.Zero));
    private readonly ConcurrentQueue<string> _changed = new();
    private KvNamespace _kv = null!;

    public Task InitializeAsync()
    {
        _kv = KvNamespace.Create("test", new KvNamespaceOptions { TimeProvider = _time });
        return Task.CompletedTask;
    }

    public async Task DisposeAsync() => await _kv.DisposeAsync();

    [Fact]
    public async Task Every_kind_of_write_is_shown_before_it_completes()
    {
        using var observation = _kv.ObserveChanges(Note, "a/");
        await CheckAsync(() => _kv.PutAsync("a/1", "1"), "a/1");
        await CheckAsync(() => _kv.PutAsync("a/1", "1"), "a/1");
        await CheckAsync(async () => await _kv.TryPutAsync("a/1", "2", KvCondition.Present), "a/1");
        await CheckAsync(async () => await _kv.TouchAsync("a/1", TimeSpan.FromHours(1)), "a/1");
        await CheckAsync(() => _kv.PutManyAsync([new KvEntry("a/2", "2"), new KvEntry("a/ä", "2")]), "a/2", "a/ä");
        await CheckAsync(() => _kv.DeleteAsync("a/1"), "a/1");
        await CheckAsync(async () => await _kv.DeleteManyAsync(["a/2"]), "a/2");
        await CheckAsync(async () => await _kv.DeletePrefixAsync(""), "a/ä");

        async Task CheckAsync(Func<ValueTask> write, params string[] keys)
        {
            _changed.Clear();
            await write();
            _changed.Should().BeEquivalentTo(keys);
        }
    }

    [Fact]
    public async Task Other_keys_and_reads_are_not_shown()
    {
        await _kv.PutAsync("a/1", "1");
        using var observation = _kv.ObserveChanges(Note, "a/");
        await _kv.PutAsync("a", "1");
        await _kv.PutAsync("b/1", "1");
        await _kv.DeleteAsync("a/2");
        await _kv.TryPutAsync("a/1", "2", KvCondition.Absent);
        _ = await _kv.GetAsync("a/1");
        _changed.Should().BeEmpty();
    }

    [Fact]
    public async Task Expiration_is_shown_when_the_entry_is_removed()
    {
        await _kv.PutAsync("a/1", "1", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(1) });
        using var observation = _kv.ObserveChanges(Note);
        _time.Advance(TimeSpan.FromMinutes(2));
        SpinWait.SpinUntil(() => _changed.Contains("a/1"), TimeSpan.FromMinutes(1)).Should().BeTrue();
    }

    [Fact]
    public async Task Disposed_observation_shows_nothing_and_leaves_the_others()
    {
        var others = 0;
        using var other = _kv.ObserveChanges(_ => others++);
        var observation = _kv.ObserveChanges(Note);
        observation.Dispose();
        observation.Dispose();
        await _kv.PutAsync("a", "1");
        _changed.Should().BeEmpty();
        others.Should().Be(1);
    }

    [Fact]
    public async Task Disposing_the_namespace_is_shown_as_an_empty_key()
    {
        var observation = _kv.ObserveChanges(Note, "a/");
        await _kv.DisposeAsync();
        _changed.Should().Equal("");
        observation.Dispose();
        FluentActions.Invoking(() => _kv.ObserveChanges(Note)).Should().Throw<ObjectDisposedException>();
    }

    [Fact]
    public void Prefix_that_no_key_can_have_is_refused() =>
        FluentActions.Invoking(() => _kv.ObserveChanges(Note, new string('a', 513))).Should().Throw<KvException>().Which.StatusCode.Should().Be(414);

    /// <summary>The protocol of the documentation: add, read again, confirm.</summary>
    [Fact]
    public async Task Object_that_was_confirmed_is_never_older_than_a_completed_write()
    {
        Made? made = null;
        using var observation = _kv.ObserveChanges(_ => Volatile.Write(ref made, null), "a/");
        await _kv.PutAsync("a/1", "0");
        var written = 0L;
        var isDone = false;
        var readers = Enumerable.Range(0, 3).Select(_ => Task.Run(() =>
        {
            while (!Volatile.Read(ref isDone))
            {
                var atLeast = Volatile.Read(ref written);
                if (Volatile.Read(ref made) is { IsConfirmed: true } hit)
                {
                    if (hit.Number < atLeast)
                    {
                        return false;
                    }

                    continue;
                }

                _kv.TryGet("a/1", out var value);
                var mine = new Made(long.Parse(value.GetText()!, CultureInfo.InvariantCulture));

                // Other threads see it before the entry is read again, which a volatile write alone does not ensure.
                Interlocked.Exchange(ref made, mine);
                _kv.TryGet("a/1", out var again);
                mine.IsConfirmed = again.Revision == value.Revision;
            }

            return true;
        })).ToArray();
        for (var i = 1; i <= 20_000; i++)
        {
            await _kv.PutAsync("a/1", i.ToString(CultureInfo.InvariantCulture));
            Volatile.Write(ref written, i);
        }

        Volatile.Write(ref isDone, true);
        (await Task.WhenAll(readers)).Should().AllBeEquivalentTo(true);
    }

    private void Note(ReadOnlySpan<byte> utf8Key) => _changed.Enqueue(Encoding.UTF8.GetString(utf8Key));

    private sealed class Made(long number)
    {
        private volatile bool _isConfirmed;

        public long Number => number;

        public bool IsConfirmed
        {
            get => _isConfirmed;
            set => _isConfirmed = value;
        }
    }
}
