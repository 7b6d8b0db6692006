using System.Text;

namespace KvStore.Tests.Contract;

/// <content>Scans, and the revisions that a list shows.</content>
public abstract partial class KvExtendedNamespaceContract
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(31)]
    [InlineData(32)]
    [InlineData(33)]
    [InlineData(160)]
    [InlineData(161)]
    [InlineData(1000)]
    public async Task Scan_shows_every_entry_once_in_key_order(int count)
    {
        var expected = new SortedDictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < count; i++)
        {
            expected[$"key {i * 7919 % 1009:D4}"] = $"value {i}";
        }

        await Kv.PutManyAsync([.. expected.Reverse().Select(pair => new KvEntry(pair.Key, pair.Value))]);

        (await Scanned()).Should().Equal(expected);
    }

    [Fact]
    public async Task Scan_keeps_to_its_prefix_and_to_the_order_of_UTF8()
    {
        foreach (var key in new[] { "a", "ab", "ab\uFFFF", "ab\U00010000", "abc", "b", "é" })
        {
            await Kv.PutAsync(key, key);
        }

        (await Keys("ab")).Should().Equal("ab", "abc", "ab\uFFFF", "ab\U00010000");
        (await Keys("")).Should().Equal(await Names());
        (await Keys(null)).Should().HaveCount(7);
        (await Keys("é")).Should().Equal("é");
        (await Keys("x")).Should().BeEmpty();
    }

    [Fact]
    public async Task Scanned_entry_has_value_metadata_expiration_and_revision_of_a_get()
    {
        await Kv.PutAsync("a", "one", Ttl(90) with { Metadata = KvMetadata.FromJson("[1]") });
        await Kv.PutAsync("empty", "");
        await Kv.PutAsync("large", new string('x', 300_000));

        await foreach (var (key, value) in Kv.ScanAsync())
        {
            var got = await Kv.GetAsync(key);
            value.GetText().Should().Be(got.GetText());
            value.Metadata.Should().Be(got.Metadata);
            value.Expiration.Should().Be(got.Expiration);
            value.Revision.Should().Be(got.Revision).And.BePositive();
        }
    }

    [Fact]
    public async Task Scan_shows_no_entry_that_expires_while_its_caller_waits()
    {
        for (var i = 0; i < 20; i++)
        {
            await Kv.PutAsync($"k{i:D2}", "v", i % 2 == 0 ? null : Ttl(60));
        }

        var keys = new List<string>();
        await foreach (var entry in Kv.ScanAsync())
        {
            keys.Add(entry.Key);
            Clock.Advance(TimeSpan.FromSeconds(60));
        }

        keys.Should().Equal(Enumerable.Range(0, 10).Select(i => $"k{2 * i:D2}"));
    }

    [Fact]
    public async Task Scan_that_pauses_shows_what_is_there_when_it_goes_on()
    {
        for (var i = 0; i < 20; i++)
        {
            await Kv.PutAsync($"k{i:D2}", "old");
        }

        var seen = new List<string>();
        await foreach (var (key, value) in Kv.ScanAsync())
        {
            seen.Add($"{key} {value.GetText()}");
            if (key == "k00")
            {
                await Kv.PutAsync("k01", "new");
                await Kv.DeleteAsync("k02");
            }
        }

        seen.Take(3).Should().Equal("k00 old", "k01 new", "k03 old");
        seen.Should().HaveCount(19);
    }

    [Fact]
    public async Task Scan_may_be_left_at_any_entry_and_made_again()
    {
        await Kv.PutManyAsync([.. Enumerable.Range(0, 300).Select(i => new KvEntry($"k{i:D3}", "v"))]);
        var scan = Kv.ScanAsync("k");
        foreach (var after in new[] { 1, 32, 33, 161, 300 })
        {
            var keys = new List<string>();
            await foreach (var entry in scan)
            {
                keys.Add(entry.Key);
                if (keys.Count == after)
                {
                    break;
                }
            }

            keys.Should().Equal(Enumerable.Range(0, after).Select(i => $"k{i:D3}"));
        }
    }

    [Fact]
    public async Task Scanned_large_value_can_be_read_later_while_its_key_has_it()
    {
        var values = Enumerable.Range(0, 4).Select(i => new string((char)('a' + i), 300_000)).ToArray();
        for (var i = 0; i < values.Length; i++)
        {
            await Kv.PutAsync($"k{i}", values[i]);
        }

        var entries = new List<KvScanEntry>();
        await foreach (var entry in Kv.ScanAsync())
        {
            entries.Add(entry);
        }

        Clock.Advance(TimeSpan.FromMinutes(1));
        for (var i = 0; i < values.Length; i++)
        {
            Encoding.UTF8.GetString((await entries[i].Value.ReadBytesAsync()).Span).Should().Be(values[i]);
        }
    }

    [Fact]
    public async Task Scan_is_refused_for_a_prefix_that_no_key_can_have()
    {
        var tooLong = () => Kv.ScanAsync(new string('k', 513));
        var unpaired = () => Kv.ScanAsync("a\uD800");

        tooLong.Should().Throw<KvException>().Which.StatusCode.Should().Be(414);
        unpaired.Should().Throw<KvException>().WithMessage("*\"a\\uD800\"*not Unicode*").Which.StatusCode.Should().Be(400);
        (await Keys(new string('k', 512))).Should().BeEmpty();
    }

    [Fact]
    public async Task Scan_ends_when_either_of_its_tokens_is_cancelled()
    {
        await Kv.PutManyAsync([.. Enumerable.Range(0, 5).Select(i => new KvEntry($"k{i}", "v"))]);
        foreach (var isOfCall in new[] { true, false })
        {
            using var source = new CancellationTokenSource();
            var scan = isOfCall ? Kv.ScanAsync(cancellationToken: source.Token) : Kv.ScanAsync();
            var enumerator = scan.GetAsyncEnumerator(isOfCall ? default : source.Token);
            (await enumerator.MoveNextAsync()).Should().BeTrue();

            await source.CancelAsync();

            var next = () => enumerator.MoveNextAsync().AsTask();
            await next.Should().ThrowAsync<OperationCanceledException>();
            await enumerator.DisposeAsync();
        }
    }

    [Fact]
    public async Task Scan_that_is_disposed_shows_nothing_more()
    {
        await Kv.PutManyAsync([.. Enumerable.Range(0, 5).Select(i => new KvEntry($"k{i}", "v"))]);
        var enumerator = Kv.ScanAsync().GetAsyncEnumerator();
        (await enumerator.MoveNextAsync()).Should().BeTrue();

        await enumerator.DisposeAsync();

        (await enumerator.MoveNextAsync()).Should().BeFalse();
    }

    [Fact]
    public async Task Scan_of_a_namespace_that_is_disposed_ends_in_an_exception()
    {
        await Kv.PutManyAsync([.. Enumerable.Range(0, 5).Select(i => new KvEntry($"k{i}", "v"))]);
        await using var enumerator = Kv.ScanAsync().GetAsyncEnumerator();
        (await enumerator.MoveNextAsync()).Should().BeTrue();
        var shown = enumerator.Current.Value;

        await ((KvNamespace)Kv).DisposeAsync();

        var next = () => enumerator.MoveNextAsync().AsTask();
        await next.Should().ThrowAsync<ObjectDisposedException>();
        shown.GetText().Should().Be("v");
        var again = () => Kv.ScanAsync();
        again.Should().Throw<ObjectDisposedException>();
        var put = () => Kv.PutManyAsync([new("k", "v")]).AsTask();
        await put.Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public async Task List_shows_the_revision_of_each_entry()
    {
        await Kv.PutAsync("a", "1");
        await Kv.PutAsync("b", "1", Ttl(60) with { Metadata = KvMetadata.FromJson("1") });
        var first = (await Kv.ListAsync()).Keys;

        first.Select(key => key.Revision).Should().Equal((await Kv.GetAsync("a")).Revision, (await Kv.GetAsync("b")).Revision);
        first[0].Revision.Should().BePositive();
        await Kv.PutAsync("a", "1");
        var second = (await Kv.ListAsync()).Keys;
        second[0].Revision.Should().BeGreaterThan(first[1].Revision);
        second[0].Should().Be(first[0], "two listed keys that differ in nothing else are equal");
        second[1].Revision.Should().Be(first[1].Revision);
    }

    private async Task<SortedDictionary<string, string>> Scanned(string? prefix = null)
    {
        var state = new SortedDictionary<string, string>(StringComparer.Ordinal);
        string? last = null;
        await foreach (var (key, value) in Kv.ScanAsync(prefix))
        {
            (last is null || Encoding.UTF8.GetBytes(last).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(key)) < 0).Should().BeTrue();
            last = key;
            state.Add(key, value.GetText()!);
        }

        return state;
    }

    private async Task<List<string>> Keys(string? prefix)
    {
        var keys = new List<string>();
        await foreach (var entry in Kv.ScanAsync(prefix))
        {
            keys.Add(entry.Key);
        }

        return keys;
    }
}
