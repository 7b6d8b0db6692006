namespace KvStore.Tests.Contract;

/// <content>Many deletes: of named keys, and of a prefix.</content>
public abstract partial class KvExtendedNamespaceContract
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(64)]
    [InlineData(500)]
    [InlineData(4000)]
    public async Task Delete_many_deletes_and_counts_what_is_there(int count)
    {
        await Kv.PutManyAsync([.. Enumerable.Range(0, count).Select(i => new KvEntry($"k{i}", "v"))]);
        await Kv.PutAsync("other", "v");

        var deleted = await Kv.DeleteManyAsync([.. Enumerable.Range(0, count).Select(i => $"k{i}"), "none", "k"]);

        deleted.Should().Be(count);
        (await Names()).Should().Equal("other");
        (await Kv.DeleteManyAsync([.. Enumerable.Range(0, count).Select(i => $"k{i}")])).Should().Be(0);
    }

    [Fact]
    public async Task Delete_many_counts_a_key_that_is_named_twice_once()
    {
        await Kv.PutAsync("a", "v");
        await Kv.PutAsync("é", "v");

        (await Kv.DeleteManyAsync(["a", "b", "a", "é", "a", "é"])).Should().Be(2);
        (await Names()).Should().BeEmpty();
    }

    [Fact]
    public async Task Delete_many_does_not_count_what_has_expired()
    {
        await Kv.PutAsync("expired", "v", Ttl(60));
        await Kv.PutAsync("alive", "v", Ttl(61));
        Clock.Advance(TimeSpan.FromSeconds(60));

        (await Kv.DeleteManyAsync(["expired", "alive"])).Should().Be(1);
        await ReopenAsync();
        (await Names()).Should().BeEmpty();
    }

    [Fact]
    public async Task Delete_many_counts_a_key_whose_put_was_called_before()
    {
        var puts = Enumerable.Range(0, 50).Select(i => Kv.PutAsync($"k{i}", "v").AsTask()).ToArray();
        var many = Kv.DeleteManyAsync([.. Enumerable.Range(0, 60).Select(i => $"k{i}")]);
        var later = Kv.PutAsync("k7", "later").AsTask();

        (await many).Should().Be(50);
        await Task.WhenAll([.. puts, later]);
        (await State()).Should().ContainSingle().Which.Value.Should().Be("later");
        await ReopenAsync();
        (await State()).Should().ContainSingle().Which.Value.Should().Be("later");
    }

    [Fact]
    public async Task Stream_that_is_put_after_delete_many_is_the_later_one()
    {
        var put = Kv.PutAsync("k", "first").AsTask();
        var many = Kv.DeleteManyAsync(["k"]);
        var later = Kv.PutAsync("k", new MemoryStream("later"u8.ToArray())).AsTask();

        (await many).Should().Be(1);
        await put;
        await later;

        (await Kv.GetTextAsync("k")).Should().Be("later");
    }

    [Theory]
    [InlineData("", "*Entry 1, the key \"\"*cannot be empty*No entry was deleted.*")]
    [InlineData("..", "*Entry 1, the key \"..\"*not allowed*")]
    [InlineData(null, "*Entry 1 is no key*No entry was deleted.*")]
    [InlineData("unpaired", "*400 Entry 1, the key \"a\\uD800\"*No entry was deleted.")]
    public async Task Delete_many_refuses_a_key_before_it_deletes_any(string? key, string message)
    {
        await Kv.PutAsync("a", "v");

        // An attribute cannot hold half of a pair.
        key = key == "unpaired" ? "a\uD800" : key;
        var act = () => Kv.DeleteManyAsync(["a", key!, "b"]).AsTask();

        await act.Should().ThrowAsync<Exception>().WithMessage(message);
        (await Names()).Should().Equal("a");
    }

    [Fact]
    public async Task Delete_many_that_is_cancelled_before_it_begins_deletes_nothing()
    {
        await Kv.PutAsync("a", "v");

        var many = () => Kv.DeleteManyAsync(["a"], new CancellationToken(canceled: true)).AsTask();
        var prefix = () => Kv.DeletePrefixAsync("a", new CancellationToken(canceled: true)).AsTask();
        var none = () => Kv.DeleteManyAsync(null!).AsTask();
        var nothing = () => Kv.DeletePrefixAsync(null!).AsTask();

        await many.Should().ThrowAsync<OperationCanceledException>();
        await prefix.Should().ThrowAsync<OperationCanceledException>();
        await none.Should().ThrowAsync<ArgumentNullException>();
        await nothing.Should().ThrowAsync<ArgumentNullException>();
        (await Names()).Should().Equal("a");
    }

    [Fact]
    public async Task Delete_prefix_deletes_the_keys_that_begin_with_it_and_no_other()
    {
        foreach (var key in new[] { "a", "ab", "ab\0", "ab\uFFFF", "ab\U0010FFFF", "abc", "ac", "b", "A", "é", "éa" })
        {
            await Kv.PutAsync(key, "v");
        }

        (await Kv.DeletePrefixAsync("ab")).Should().Be(5);
        (await Kv.DeletePrefixAsync("é")).Should().Be(2);
        (await Kv.DeletePrefixAsync("x")).Should().Be(0);
        (await Names()).Should().Equal("A", "a", "ac", "b");
        await ReopenAsync();
        (await Names()).Should().Equal("A", "a", "ac", "b");
        (await Kv.DeletePrefixAsync("")).Should().Be(4);
        (await Names()).Should().BeEmpty();
    }

    [Theory]
    [InlineData(2047)]
    [InlineData(2048)]
    [InlineData(2049)]
    [InlineData(10_000)]
    public async Task Delete_prefix_of_many_keys_deletes_all_of_them(int count)
    {
        await Kv.PutManyAsync([.. Enumerable.Range(0, count).Select(i => new KvEntry($"user:{i}", "v")), new("other", "v"), new("zz", "v")]);

        (await Kv.DeletePrefixAsync("user:")).Should().Be(count);

        (await Names()).Should().Equal("other", "zz");
        await ReopenAsync();
        (await Names()).Should().Equal("other", "zz");
    }

    [Fact]
    public async Task Delete_prefix_does_not_count_what_has_expired()
    {
        for (var i = 0; i < 10; i++)
        {
            await Kv.PutAsync($"k{i}", "v", Ttl(60 + (i % 2)));
        }

        Clock.Advance(TimeSpan.FromSeconds(60));

        (await Kv.DeletePrefixAsync("k")).Should().Be(5);
    }

    [Fact]
    public async Task Delete_prefix_leaves_what_is_written_after_it_was_called()
    {
        await Kv.PutManyAsync([.. Enumerable.Range(0, 5000).Select(i => new KvEntry($"k{i:D4}", "old"))]);

        var delete = Kv.DeletePrefixAsync("k").AsTask();
        var puts = Enumerable.Range(0, 500).Select(i => Kv.PutAsync($"k{10 * i:D4}", "new").AsTask()).ToList();
        await Task.WhenAll(puts);
        var deleted = await delete;

        deleted.Should().BeInRange(4500, 5000);
        var state = await State();
        state.Should().HaveCount(500);
        state.Values.Should().OnlyContain(value => value == "new");
    }

    [Fact]
    public async Task Delete_prefix_that_is_cancelled_keeps_what_it_has_not_deleted_yet()
    {
        // A call that is through before it is cancelled says nothing.
        var isCancelled = false;
        for (var attempt = 0; attempt < 20 && !isCancelled; attempt++)
        {
            await Kv.PutManyAsync([.. Enumerable.Range(0, 10_000).Select(i => new KvEntry($"k{i:D5}", "v"))]);
            using var source = new CancellationTokenSource();
            var delete = Kv.DeletePrefixAsync("k", source.Token).AsTask();
            await source.CancelAsync();
            try
            {
                await delete;
            }
            catch (OperationCanceledException)
            {
                isCancelled = true;
                var left = await Names();
                left.Should().NotBeEmpty().And.HaveCountLessThan(10_000);
                (await Kv.DeletePrefixAsync("k")).Should().Be(left.Count);
            }
        }

        isCancelled.Should().BeTrue();
    }

    [Fact]
    public async Task Delete_prefix_is_refused_for_a_prefix_that_no_key_can_have()
    {
        var tooLong = () => Kv.DeletePrefixAsync(new string('k', 513)).AsTask();
        var unpaired = () => Kv.DeletePrefixAsync("\uD800").AsTask();

        (await tooLong.Should().ThrowAsync<KvException>()).Which.StatusCode.Should().Be(414);
        (await unpaired.Should().ThrowAsync<KvException>()).Which.StatusCode.Should().Be(400);
    }

    [Fact]
    public async Task Deleted_large_values_and_entries_with_metadata_are_gone()
    {
        await Kv.PutManyAsync(
        [
            new("large", new string('x', 300_000)),
            new("stream", new MemoryStream(new byte[300_000])),
            new("small", "v", Ttl(90) with { Metadata = KvMetadata.FromJson("1") }),
        ]);

        (await Kv.DeletePrefixAsync("l")).Should().Be(1);
        (await Kv.DeleteManyAsync(["small", "stream", "large"])).Should().Be(2);

        await ReopenAsync();
        (await Names()).Should().BeEmpty();
    }
}
