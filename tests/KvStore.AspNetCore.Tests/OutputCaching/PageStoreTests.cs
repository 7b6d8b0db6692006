using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using KvStore.AspNetCore.Tests.Adapters;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.AspNetCore.Tests.OutputCaching;

/// <summary>Pages that are stored, read and expire.</summary>
public sealed class PageStoreTests : PagesTest
{
    [Fact]
    public async Task Page_that_was_not_stored_is_not_found()
    {
        await using var services = ServicesOn(Storage.InMemory());

        (await StoreIn(services).GetAsync("k", CancellationToken.None)).Should().BeNull();
        (await StoreIn(services).TryGetAsync("k", new Pipe().Writer, CancellationToken.None)).Should().BeFalse();
    }

    [Theory]
    [InlineData(false, 0)]
    [InlineData(false, 1017)]
    [InlineData(true, 0)]
    [InlineData(true, 1017)]
    [InlineData(true, 3_000_000)]
    public async Task Page_is_read_as_it_was_stored_also_after_a_restart(bool persisted, int length)
    {
        using var storage = Storage.Of(persisted);
        var page = new byte[length];
        new Random(length).NextBytes(page);
        await using (var services = ServicesOn(storage))
        {
            await StoreIn(services).SetAsync("array", page, null, Minute, CancellationToken.None);
            await StoreIn(services).SetAsync("sequence", Pieces(page), new[] { "a", "b" }, Minute, CancellationToken.None);
            await CheckAsync(services);
        }

        if (persisted)
        {
            await using var restarted = ServicesOn(storage);
            await CheckAsync(restarted);
        }

        async Task CheckAsync(IServiceProvider services)
        {
            foreach (var key in new[] { "array", "sequence" })
            {
                (await StoreIn(services).GetAsync(key, CancellationToken.None)).Should().Equal(page);
                var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
                (await StoreIn(services).TryGetAsync(key, pipe.Writer, CancellationToken.None)).Should().BeTrue();
                await pipe.Writer.CompleteAsync();
                using var read = new MemoryStream();
                await pipe.Reader.CopyToAsync(read);
                read.ToArray().Should().Equal(page);
            }
        }
    }

    [Theory]
    [InlineData(100, 0)]
    [InlineData(100, 1)]
    [InlineData(100, 300)]
    [InlineData(3_000_000, 0)]
    [InlineData(3_000_000, 1)]
    [InlineData(3_000_000, 300)]
    public async Task Memory_of_the_caller_may_change_when_the_call_has_returned(int length, int tagCount)
    {
        using var storage = Storage.InDirectory();
        await using var services = ServicesOn(storage);
        var tags = Enumerable.Range(0, tagCount).Select(i => $"tag {i}").ToArray();
        foreach (var key in new[] { "the index is not loaded yet", "it is loaded", "in pieces" })
        {
            var value = Enumerable.Repeat((byte)'v', length).ToArray();
            var given = tags.ToArray();
            var set = StoreIn(services).SetAsync(key, key == "in pieces" ? Pieces(value) : new(value), given, Minute, CancellationToken.None);
            Array.Clear(value);
            Array.Clear(given);
            await set;

            (await StoreIn(services).GetAsync(key, CancellationToken.None)).Should().HaveCount(length).And.OnlyContain(b => b == (byte)'v');
        }

        if (tagCount > 0)
        {
            await StoreIn(services).EvictAsync($"tag {tagCount - 1}");
            (await StoreIn(services).GetAsync("in pieces")).Should().BeNull();
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(999)]
    [InlineData(1000)]
    [InlineData(30_000)]
    [InlineData(59_999)]
    [InlineData(60_000)]
    [InlineData(60_001)]
    [InlineData(123_456)]
    public async Task Page_expires_to_the_millisecond(int milliseconds)
    {
        await using var services = ServicesOn(Storage.InMemory());
        Time.Advance(TimeSpan.FromTicks(371_234));
        await StoreIn(services).SetAsync("k", "v", TimeSpan.FromMilliseconds(milliseconds), "tag");

        Time.Advance(TimeSpan.FromMilliseconds(milliseconds - 1));
        (await StoreIn(services).GetAsync("k")).Should().Be("v");
        Time.Advance(TimeSpan.FromMilliseconds(1));
        (await StoreIn(services).GetAsync("k")).Should().BeNull();
    }

    [Fact]
    public async Task Page_expires_at_the_same_moment_after_a_restart()
    {
        using var storage = Storage.InDirectory();
        await using (var services = ServicesOn(storage))
        {
            await StoreIn(services).SetAsync("k", "v", TimeSpan.FromSeconds(10));
        }

        await using var restarted = ServicesOn(storage);
        Time.Advance(TimeSpan.FromMilliseconds(9999));
        (await StoreIn(restarted).GetAsync("k")).Should().Be("v");
        Time.Advance(TimeSpan.FromMilliseconds(1));
        (await StoreIn(restarted).GetAsync("k")).Should().BeNull();
    }

    [Fact]
    public async Task Page_that_is_valid_for_ever_stays()
    {
        await using var services = ServicesOn(Storage.InMemory());
        await StoreIn(services).SetAsync("k", "v", TimeSpan.MaxValue);

        Time.Advance(TimeSpan.FromDays(365 * 100));

        (await StoreIn(services).GetAsync("k")).Should().Be("v");
    }

    [Fact]
    public async Task Expired_pages_leave_the_namespace()
    {
        await using var services = ServicesOn(Storage.InMemory());
        for (var i = 0; i < 100; i++)
        {
            await StoreIn(services).SetAsync($"k{i}", "v", TimeSpan.FromMilliseconds(1 + i), "tag");
        }

        await IndexBecomesAsync(services, pages: 0, tags: 0);
        NamespaceIn(services).Count.Should().Be(0);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("/a/b")]
    [InlineData("GET\x1eHTTP\x1eHOST\x1e/\x1eQ\x1fQ=\0")]
    [InlineData("~sha256/x")]
    [InlineData("LONE SURROGATE")]
    [InlineData("ключ 😀")]
    public async Task Key_of_any_kind_and_length_has_a_page_of_its_own(string key)
    {
        // Attributes cannot hold texts that are not Unicode.
        key = key.Replace("LONE SURROGATE", "\ud800");
        using var storage = Storage.InDirectory();
        string[] keys = [key, key + "2", "~" + key, key + new string('k', 1024), key + new string('k', 100_000), key + new string('k', 100_000) + "!"];
        await using (var services = ServicesOn(storage))
        {
            foreach (var (i, one) in keys.Index())
            {
                await StoreIn(services).SetAsync(one, $"page {i}", Minute, "tag");
            }
        }

        await using var restarted = ServicesOn(storage);
        foreach (var (i, one) in keys.Index())
        {
            (await StoreIn(restarted).GetAsync(one)).Should().Be($"page {i}");
        }

        await StoreIn(restarted).EvictAsync("tag");
        (await StoreIn(restarted).GetAsync(keys[^1])).Should().BeNull();
        NamespaceIn(restarted).Count.Should().Be(0);
    }

    [Fact]
    public async Task Wrong_arguments_are_refused()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);

        await Refuses<ArgumentNullException>(() => store.GetAsync(null!, default).AsTask());
        await Refuses<ArgumentNullException>(() => store.TryGetAsync("k", null!, default).AsTask());
        await Refuses<ArgumentNullException>(() => store.SetAsync(null!, [], null, Minute, default).AsTask());
        await Refuses<ArgumentNullException>(() => store.SetAsync("k", null!, null, Minute, default).AsTask());
        await Refuses<ArgumentException>(() => store.SetAsync("k", [], [null!], Minute, default).AsTask());
        await Refuses<ArgumentOutOfRangeException>(() => store.SetAsync("k", [], null, TimeSpan.Zero, default).AsTask());
        await Refuses<ArgumentOutOfRangeException>(() => store.SetAsync("k", [], null, TimeSpan.FromTicks(-1), default).AsTask());
        await Refuses<ArgumentNullException>(() => store.EvictByTagAsync(null!, default).AsTask());

        static Task Refuses<T>(Func<Task> call)
            where T : Exception => call.Should().ThrowExactlyAsync<T>();
    }

    [Fact]
    public async Task Cancelled_calls_do_nothing()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        await store.SetAsync("k", "v", Minute, "tag");
        var cancelled = new CancellationToken(canceled: true);

        await store.Awaiting(s => s.GetAsync("k", cancelled).AsTask()).Should().ThrowAsync<OperationCanceledException>();
        await store.Awaiting(s => s.SetAsync("k", [], null, Minute, cancelled).AsTask()).Should().ThrowAsync<OperationCanceledException>();
        await store.Awaiting(s => s.EvictByTagAsync("tag", cancelled).AsTask()).Should().ThrowAsync<OperationCanceledException>();
        (await store.GetAsync("k")).Should().Be("v");
    }

    [Theory]
    [InlineData("no JSON metadata", null)]
    [InlineData("another object", """{"a":1}""")]
    [InlineData("a text", "\"text\"")]
    [InlineData("an array", "[1]")]
    [InlineData("until is a text", """{"until":"x"}""")]
    [InlineData("until is a number", """{"until":1767323105000}""")]
    [InlineData("tags are no array", """{"until":"2999-01-01T00:00:00Z","tags":1}""")]
    [InlineData("more tags than value", """{"until":"2999-01-01T00:00:00Z","tagBytes":100}""")]
    [InlineData("tags in the value are broken", """{"until":"2999-01-01T00:00:00Z","tagBytes":3}""")]
    [InlineData("negative length of tags", """{"until":"2999-01-01T00:00:00Z","tagBytes":-1}""")]
    public async Task Entry_of_somebody_else_is_no_page_and_breaks_nothing(string what, string? metadata)
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        await NamespaceIn(services).PutAsync("pages/k", "value", new() { Metadata = metadata is null ? default : KvMetadata.FromJson(metadata) });
        await store.SetAsync("other", "v", Minute, "tag");

        if (what is not ("tags are no array" or "tags in the value are broken"))
        {
            (await store.GetAsync("k")).Should().BeNull(what);
        }

        await store.EvictAsync("tag");
        (await store.GetAsync("other")).Should().BeNull();
        (await NamespaceIn(services).GetTextAsync("pages/k")).Should().Be("value");
    }

    [Fact]
    public async Task Entries_outside_the_prefix_are_left_alone()
    {
        await using var services = ServicesOn(Storage.InMemory(), more: more => more.AddKvNamespace("OTHER_KV"));
        await NamespaceIn(services).PutAsync("page", "other", new() { Metadata = KvMetadata.FromJson("""{"until":"2999-01-01T00:00:00Z","set":1,"tags":["tag"]}""") });
        await StoreIn(services).SetAsync("k", "v", Minute, "tag");

        await StoreIn(services).EvictAsync("tag");

        (await NamespaceIn(services).ListAsync()).Keys.Select(key => key.Name).Should().Equal("page");
    }

    [Fact]
    public async Task Dashboard_shows_readable_keys_and_tags()
    {
        await using var services = ServicesOn(Storage.InMemory());
        await StoreIn(services).SetAsync("GET /prices", "v", Minute, "prices", "ü");

        var key = (await NamespaceIn(services).ListAsync()).Keys.Should().ContainSingle().Subject;
        key.Name.Should().Be("pages/GET /prices");
        key.Metadata.ToString().Should().Be("""{"until":"2026-01-02T03:05:05Z","set":1,"tags":["prices","ü"]}""");
    }

    private static ReadOnlySequence<byte> Pieces(byte[] bytes)
    {
        var first = new Piece(bytes.AsMemory(0, bytes.Length / 3), previous: null);
        var middle = new Piece(bytes.AsMemory(bytes.Length / 3, bytes.Length / 3), first);
        var last = new Piece(bytes.AsMemory(2 * (bytes.Length / 3)), middle);
        return new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> memory, Piece? previous)
        {
            Memory = memory;
            if (previous is not null)
            {
                RunningIndex = previous.RunningIndex + previous.Memory.Length;
                previous.Next = this;
            }
        }
    }
}
