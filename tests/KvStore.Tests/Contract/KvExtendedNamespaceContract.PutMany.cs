using System.IO.Pipelines;
using System.Text;

namespace KvStore.Tests.Contract;

/// <content>Many puts.</content>
public abstract partial class KvExtendedNamespaceContract
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(300)]
    [InlineData(5000)]
    public async Task Put_many_puts_every_entry(int count)
    {
        var entries = Enumerable.Range(0, count).Select(i => new KvEntry($"key {i}", i % 2 == 0 ? $"value {i}" : Encoding.UTF8.GetBytes($"value {i}"))).ToList();

        await Kv.PutManyAsync(entries);

        (await Names()).Should().HaveCount(count);
        for (var i = 0; i < count; i += 1 + (count / 50))
        {
            (await Kv.GetTextAsync($"key {i}")).Should().Be($"value {i}");
        }
    }

    [Fact]
    public async Task Put_many_takes_every_kind_of_content_and_every_option()
    {
        await Kv.PutManyAsync(
        [
            new("text", "é"),
            new("bytes", new byte[] { 1, 2 }),
            new("empty", ""),
            new("stream", new MemoryStream("streamed"u8.ToArray())),
            new("pipe", PipeReader.Create(new MemoryStream("piped"u8.ToArray()))),
            new("large", new string('x', 300_000)),
            new("é", "with options", Ttl(90) with { Metadata = KvMetadata.FromJson(" [ 1 , 2 ] ") }),
            new("large with options", Encoding.UTF8.GetBytes(new string('y', 300_000)), Ttl(120)),
        ]);

        (await Kv.GetTextAsync("text")).Should().Be("é");
        (await Kv.GetBytesAsync("bytes"))!.Value.ToArray().Should().Equal(1, 2);
        (await Kv.GetTextAsync("empty")).Should().Be("");
        (await Kv.GetTextAsync("stream")).Should().Be("streamed");
        (await Kv.GetTextAsync("pipe")).Should().Be("piped");
        (await Kv.GetTextAsync("large")).Should().Be(new string('x', 300_000));
        var withOptions = await Kv.GetAsync("é");
        withOptions.Metadata.ToString().Should().Be("[1,2]");
        withOptions.Expiration.Should().Be(Clock.GetUtcNow().AddSeconds(90));
        Clock.Advance(TimeSpan.FromSeconds(90));
        (await Kv.GetAsync("é")).Exists.Should().BeFalse();
        (await Kv.GetTextAsync("large with options")).Should().HaveLength(300_000);
    }

    [Fact]
    public async Task Put_many_gives_revisions_in_the_order_of_its_entries()
    {
        await Kv.PutManyAsync([.. Enumerable.Range(0, 500).Select(i => new KvEntry($"{i * 7919 % 1000:D3}", "v"))]);

        var revisions = new List<long>();
        for (var i = 0; i < 500; i++)
        {
            revisions.Add((await Kv.GetAsync($"{i * 7919 % 1000:D3}")).Revision);
        }

        revisions.Should().BeInAscendingOrder().And.OnlyHaveUniqueItems();
    }

    [Theory]
    [InlineData("small", "small")]
    [InlineData("large", "small")]
    [InlineData("small", "large")]
    [InlineData("large", "large")]
    [InlineData("stream", "small")]
    [InlineData("small", "stream")]
    [InlineData("stream", "large")]
    public async Task Of_two_entries_with_one_key_the_later_one_wins(string first, string second)
    {
        await Kv.PutManyAsync(
        [
            new("other", "1"),
            new("k", Content(first, "first")),
            new("another", new MemoryStream("2"u8.ToArray())),
            new("k", Content(second, "second")),
            new("last", "3"),
        ]);

        (await Kv.GetTextAsync("k")).Should().StartWith("second");
        (await Names()).Should().Equal("another", "k", "last", "other");
    }

    [Theory]
    [InlineData("small")]
    [InlineData("large")]
    [InlineData("stream")]
    public async Task Write_that_is_called_after_put_many_is_the_later_one(string kind)
    {
        var entries = Enumerable.Range(0, 200).Select(i => new KvEntry($"k{i:D3}", Content(i % 10 == 0 ? kind : "small", "many"))).ToArray();

        var many = Kv.PutManyAsync(entries);
        var puts = Enumerable.Range(0, 100).Select(i => Kv.PutAsync($"k{2 * i:D3}", "later").AsTask()).ToList();
        puts.Add(Kv.DeleteAsync("k001").AsTask());
        await many;
        await Task.WhenAll(puts);

        for (var i = 0; i < 200; i++)
        {
            var text = await Kv.GetTextAsync($"k{i:D3}");
            if (i == 1)
            {
                text.Should().BeNull();
            }
            else
            {
                text.Should().StartWith(i % 2 == 0 ? "later" : "many");
            }
        }
    }

    public static TheoryData<string, string> Refused => new()
    {
        { "", "*Entry 2, the key \"\"*cannot be empty*No entry was written.*" },
        { ".", "*Entry 2, the key \".\"*not allowed*No entry was written.*" },
        { "null", "*Entry 2 has no key*No entry was written.*" },
        { "long", "*414 Entry 2, the key \"kkk*exceeds key length limit of 512. No entry was written." },
        { "unpaired", "*400 Entry 2, the key \"a\\uD800\"*No entry was written." },
        { "default", "*Entry 2, the key \"k\"*default(KvContent)*No entry was written.*" },
        { "text", "*413 Entry 2, the key \"k\"*Value length of 26214401 exceeds limit of 26214400. No entry was written." },
        { "bytes", "*413 Entry 2, the key \"k\"*Value length of 26214401*" },
        { "stream", "*413 Entry 2, the key \"k\"*Value length of 26214401*" },
        { "metadata", "*413 Entry 2, the key \"k\"*Metadata length of 1026 exceeds limit of 1024.*" },
        { "ttl", "*400 Entry 2, the key \"k\"*Expiration TTL must be at least 60.*" },
        { "late", "*Entry 2, the key \"k\"*The latest expiration*" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task Put_many_refuses_an_entry_before_it_writes_any(string fault, string message)
    {
        var entry = fault switch
        {
            "" or "." => new KvEntry(fault, "v"),
            "null" => new KvEntry(null!, "v"),
            "long" => new KvEntry(new string('k', 513), "v"),
            "unpaired" => new KvEntry("a\uD800", "v"),
            "default" => new KvEntry("k", default),
            "text" => new KvEntry("k", new string('x', (25 << 20) + 1)),
            "bytes" => new KvEntry("k", new byte[(25 << 20) + 1]),
            "stream" => new KvEntry("k", new MemoryStream(new byte[(25 << 20) + 1])),
            "metadata" => new KvEntry("k", "v", new KvPutOptions { Metadata = KvMetadata.FromJson($"\"{new string('m', 1024)}\"") }),
            "ttl" => new KvEntry("k", "v", Ttl(59)),
            _ => new KvEntry("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromDays(100_000) }),
        };

        var act = () => Kv.PutManyAsync([new("first", "v"), new("second", new MemoryStream([1])), entry, new("last", "v")]).AsTask();

        var thrown = await act.Should().ThrowAsync<Exception>().WithMessage(message);
        thrown.Which.Should().Match(e => e is KvException || e is ArgumentException);
        (await Names()).Should().BeEmpty();
    }

    [Fact]
    public async Task Put_many_that_is_cancelled_before_it_begins_writes_nothing()
    {
        var act = () => Kv.PutManyAsync([new("a", "1")], new CancellationToken(canceled: true)).AsTask();
        var none = () => Kv.PutManyAsync(null!).AsTask();

        await act.Should().ThrowAsync<OperationCanceledException>();
        await none.Should().ThrowAsync<ArgumentNullException>();
        (await Names()).Should().BeEmpty();
    }

    [Fact]
    public async Task Put_many_whose_stream_fails_keeps_the_entries_before_it()
    {
        var act = () => Kv.PutManyAsync([new("a", "1"), new("b", new CallingStream(static () => throw new IOException("It broke."))), new("c", "3")]).AsTask();

        await act.Should().ThrowAsync<IOException>().WithMessage("It broke.");
        (await Names()).Should().Equal("a");
        await Kv.PutManyAsync([new("b", "2"), new("c", "3")]);
        (await Names()).Should().Equal("a", "b", "c");
    }

    [Fact]
    public async Task Put_many_whose_stream_is_too_long_says_how_many_were_written()
    {
        var pipe = PipeReader.Create(new MemoryStream(new byte[(25 << 20) + 1]));

        var act = () => Kv.PutManyAsync([new("a", "1"), new("b", "2"), new("c", pipe), new("d", "3")]).AsTask();

        (await act.Should().ThrowAsync<KvException>())
            .WithMessage("KV PUT failed: 413 Entry 2, the key \"c\": Value length of 26214401 exceeds limit of 26214400. 2 of 4 entries were written.");
        (await Names()).Should().Equal("a", "b");
    }

    [Fact]
    public async Task Time_to_live_of_an_entry_begins_when_it_is_written()
    {
        var stream = new CallingStream(() => Clock.Advance(TimeSpan.FromSeconds(50)));

        await Kv.PutManyAsync(
        [
            new("before", "v", Ttl(60)),
            new("slow", stream, Ttl(60)),
            new("after", "v", Ttl(60)),
            new("at", "v", new KvPutOptions { Expiration = Clock.GetUtcNow().AddSeconds(70) }),
        ]);

        Clock.Advance(TimeSpan.FromSeconds(10));
        (await Names()).Should().Equal("after", "at", "slow");
        Clock.Advance(TimeSpan.FromSeconds(10));
        (await Names()).Should().Equal("after", "slow");
    }

    private static KvContent Content(string kind, string text) => kind switch
    {
        "large" => text + new string('x', 300_000),
        "stream" => new MemoryStream(Encoding.UTF8.GetBytes(text)),
        _ => text,
    };
}
