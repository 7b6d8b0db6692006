namespace KvStore.Tests.Prefixes;

/// <summary>What goes beyond the binding, through a view with a prefix.</summary>
public sealed class PrefixedExtendedTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));
    private readonly KvNamespace _kv;
    private readonly IKvExtendedNamespace _view;

    public PrefixedExtendedTests()
    {
        _kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = _time });
        _view = _kv.WithPrefix("a/").WithPrefix("b/");
    }

    public ValueTask DisposeAsync() => _kv.DisposeAsync();

    [Fact]
    public async Task Conditions_are_those_of_the_whole_key()
    {
        var written = await _view.TryPutAsync("k", "1", KvCondition.Absent);
        written.Should().Be(new KvWriteResult(true, (await _kv.GetAsync("a/b/k")).Revision));
        (await _view.TryPutAsync("k", "2", KvCondition.Absent)).Succeeded.Should().BeFalse();
        await _kv.PutAsync("k", "outside");

        (await _view.TryDeleteAsync("k", KvCondition.Revision(written.Revision))).Succeeded.Should().BeTrue();
        (await _kv.GetAsync("a/b/k")).Exists.Should().BeFalse();
        (await _kv.GetAsync("k")).Exists.Should().BeTrue();
    }

    [Fact]
    public async Task Touch_gives_the_whole_key_another_life()
    {
        await _view.PutAsync("k", "1");

        (await _view.TouchAsync("k", TimeSpan.FromSeconds(60))).Should().BeTrue();
        (await _view.TouchAsync("missing", TimeSpan.FromSeconds(60))).Should().BeFalse();
        (await _view.TryTouchAsync("k", TimeSpan.FromSeconds(60), KvCondition.Present)).Succeeded.Should().BeTrue();

        (await _kv.GetAsync("a/b/k")).Expiration.Should().Be(_time.GetUtcNow().AddSeconds(60));
    }

    [Fact]
    public async Task Many_are_put_and_deleted_under_the_prefix()
    {
        await _view.PutManyAsync([new KvEntry("1", "x"), new KvEntry("2", "y", new KvPutOptions { Metadata = KvMetadata.FromJson("7") })]);

        (await _kv.GetAsync("a/b/2")).Metadata.ToString().Should().Be("7");
        (await _view.DeleteManyAsync(["1", "3"])).Should().Be(1);
        (await _kv.ListAsync()).Keys.Select(key => key.Name).Should().Equal("a/b/2");
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    public async Task Key_among_many_that_no_namespace_takes_is_refused_and_nothing_changes(string key)
    {
        await _view.Invoking(view => view.PutManyAsync([new KvEntry("1", "x"), new KvEntry(key, "y")]).AsTask()).Should().ThrowAsync<Exception>();
        await _view.Invoking(view => view.DeleteManyAsync(["1", key]).AsTask()).Should().ThrowAsync<Exception>();

        (await _kv.ListAsync()).Keys.Should().BeEmpty();
    }

    [Fact]
    public async Task Message_about_a_key_among_many_quotes_and_counts_what_the_caller_gave()
    {
        var room = 512 - "a/b/".Length;
        var longest = new string('k', room);
        await _view.PutManyAsync([new KvEntry(longest, "x")]);
        (await _view.DeleteManyAsync([longest])).Should().Be(1);

        foreach (var (key, reason) in new[]
        {
            (longest + "k", $"\"{new string('k', 64)}…\" (445 more characters): UTF-8 encoded length of {room + 1} exceeds key length limit of {room}."),
            ("", "\"\": Key name cannot be empty."),
            ("..", "\"..\": \"..\" is not allowed as a key name."),
            ("x\uD800", "\"x\\uD800\": *"),
        })
        {
            var put = await _view.Invoking(view => view.PutManyAsync([new KvEntry("1", "x"), new KvEntry(key, "y")]).AsTask()).Should().ThrowAsync<Exception>();
            put.Which.Message.Should().Match($"*Entry 1, the key {reason} No entry was written.*").And.NotContain("a/b/");
            var delete = await _view.Invoking(view => view.DeleteManyAsync(["1", key]).AsTask()).Should().ThrowAsync<Exception>();
            delete.Which.Message.Should().Match($"*Entry 1, the key {reason} No entry was deleted.*").And.NotContain("a/b/");
        }

        await _view.Invoking(view => view.PutManyAsync([new KvEntry("1", "x"), new KvEntry(null!, "y")]).AsTask()).Should()
            .ThrowAsync<ArgumentException>().WithMessage("Entry 1 has no key: it is null. No entry was written.*");
        await _view.Invoking(view => view.DeleteManyAsync(["1", null!]).AsTask()).Should()
            .ThrowAsync<ArgumentException>().WithMessage("Entry 1 is no key: it is null. No entry was deleted.*");
        (await _kv.ListAsync()).Keys.Should().BeEmpty();
    }

    [Fact]
    public async Task Prefix_that_no_key_can_have_is_refused_by_its_own_length()
    {
        var room = 512 - "a/b/".Length;
        var tooLong = new string('p', room + 1);
        Action[] calls =
        [
            () => _view.WatchAsync(new KvWatchOptions { Prefix = tooLong }),
            () => _view.ScanAsync(tooLong),
            () => _view.DeletePrefixAsync(tooLong).AsTask().GetAwaiter().GetResult(),
        ];
        foreach (var call in calls)
        {
            call.Should().Throw<KvException>().WithMessage($"KV * failed: 414 The prefix * has {room + 1} bytes of UTF-8, and a key at most {room}, so no key begins with it.");
        }

        _view.Invoking(view => view.WatchAsync(new KvWatchOptions { Prefix = "\uD800" })).Should().Throw<KvException>().Which.StatusCode.Should().Be(400);
        await _kv.PutAsync("a/b/" + new string('p', room), "x");
        (await _view.DeletePrefixAsync(new string('p', room))).Should().Be(1);
    }

    [Fact]
    public async Task Whole_prefix_is_the_prefix_of_the_view_and_no_more()
    {
        await _kv.PutAsync("a/b", "outside");
        await _kv.PutAsync("a/c", "outside");
        await _view.PutManyAsync([new KvEntry("x/1", "1"), new KvEntry("x/2", "2"), new KvEntry("y", "3")]);

        (await _view.DeletePrefixAsync("x/")).Should().Be(2);
        (await _view.DeletePrefixAsync("")).Should().Be(1);

        (await _kv.ListAsync()).Keys.Select(key => key.Name).Should().Equal("a/b", "a/c");
    }

    [Fact]
    public async Task Scan_shows_the_keys_of_the_view()
    {
        await _kv.PutAsync("a/c", "outside");
        await _view.PutManyAsync([new KvEntry("1", "x"), new KvEntry("2", "y")]);

        (await _view.ScanAsync().Select(entry => (entry.Key, entry.Value.GetText())).ToListAsync()).Should().Equal(("1", "x"), ("2", "y"));
        (await _view.ScanAsync("2").Select(entry => entry.Key).ToListAsync()).Should().Equal("2");
    }

    [Fact]
    public async Task Watch_shows_the_changes_of_the_view()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await _view.PutAsync("1", "x");
        await using var changes = _view.WatchAsync(new KvWatchOptions { Start = KvWatchStart.Current }, limit.Token).GetAsyncEnumerator(limit.Token);
        await using var one = _view.WatchAsync(new KvWatchOptions { Key = "2", Start = KvWatchStart.Current }, limit.Token).GetAsyncEnumerator(limit.Token);
        (await NextAsync(changes)).Should().Be((KvChangeKind.Put, "1"));
        (await NextAsync(changes)).Should().Be((KvChangeKind.Current, ""));
        (await NextAsync(one)).Should().Be((KvChangeKind.Current, ""));

        await _kv.PutAsync("a/c", "outside");
        await _kv.PutAsync("a/b/2", "inside");
        (await NextAsync(changes)).Should().Be((KvChangeKind.Put, "2"));
        (await NextAsync(one)).Should().Be((KvChangeKind.Put, "2"));
        await _view.DeleteAsync("1");
        (await NextAsync(changes)).Should().Be((KvChangeKind.Delete, "1"));

        static async Task<(KvChangeKind, string)> NextAsync(IAsyncEnumerator<KvChange> changes)
        {
            (await changes.MoveNextAsync()).Should().BeTrue();
            return (changes.Current.Kind, changes.Current.Key ?? "");
        }
    }
}
