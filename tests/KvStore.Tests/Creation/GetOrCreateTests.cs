using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace KvStore.Tests.Creation;

/// <summary>Values that are read, or created: by one factory at a time.</summary>
public sealed partial class GetOrCreateTests : IAsyncDisposable
{
    private readonly KvNamespace _kv = KvNamespace.Create("KV");
    private int _calls;

    public ValueTask DisposeAsync() => _kv.DisposeAsync();

    [Fact]
    public async Task Missing_value_is_created_stored_and_then_read()
    {
        var first = await _kv.GetOrCreateAsync("k", async ct => await Price(1, ct));
        var second = await _kv.GetOrCreateAsync("k", async ct => await Price(2, ct));

        first.Should().Be(new Price("book", 1));
        second.Should().Be(first);
        _calls.Should().Be(1);
        (await _kv.GetTextAsync("k")).Should().Be("""{"product":"book","cents":1}""");
        (await _kv.GetAsync("k")).Expiration.Should().BeNull();
    }

    [Fact]
    public async Task Every_form_of_factory_compiles_as_it_is_written()
    {
        var price = new Price("book", 1);
        (await _kv.GetOrCreateAsync("1", async ct => { await Task.Yield(); return price; })).Should().Be(price);
        (await _kv.GetOrCreateAsync("2", ct => ValueTask.FromResult(price))).Should().Be(price);
        (await _kv.GetOrCreateAsync("3", LoadAsync)).Should().Be(price);
        (await _kv.GetOrCreateAsync<Price>("4", _ => new(price))).Should().Be(price);
        (await _kv.GetOrCreateAsync("5", _ => new ValueTask<int>(42))).Should().Be(42);
        (await _kv.GetOrCreateAsync("6", async _ => "text", new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromMinutes(5) })).Should().Be("text");
        (await _kv.GetOrCreateAsync("7", price, static async (p, ct) => p)).Should().Be(price);
        (await _kv.GetOrCreateAsync("8", (price, 5), static (s, ct) => new ValueTask<Price>(s.price with { Cents = s.Item2 }))).Cents.Should().Be(5);
        (await _kv.GetOrCreateAsync("9", async ct => price, GetOrCreateJson.Default.Price)).Should().Be(price);
        (await _kv.GetOrCreateAsync("10", 7, async (cents, ct) => price with { Cents = cents }, GetOrCreateJson.Default.Price)).Cents.Should().Be(7);
        (await _kv.GetOrCreateAsync("11", async ct => new KvCreated<Price>(price) { ExpirationTtl = TimeSpan.FromMinutes(2) })).Should().Be(price);
        (await _kv.GetOrCreateAsync("12", async ct => KvCreated<Price>.Skip(price))).Should().Be(price);
        (await _kv.GetOrCreateAsync("13", price, async (p, ct) => p.Cents > 0 ? new KvCreated<Price>(p) : KvCreated<Price>.Skip(p))).Should().Be(price);
        (await _kv.GetOrCreateAsync("14", async ct => new KvCreated<Price>(price), GetOrCreateJson.Default.Price)).Should().Be(price);
        (await _kv.GetOrCreateAsync("15", price, async (p, ct) => new KvCreated<Price>(p), GetOrCreateJson.Default.Price)).Should().Be(price);
        (await _kv.GetOrCreateAsync<Price?>("16", async ct => null)).Should().BeNull();
        (await _kv.GetOrCreateAsync<int?>("17", async ct => 3, null, CancellationToken.None)).Should().Be(3);
        await _kv.Invoking(kv => kv.GetOrCreateAsync<int>("18", _ => throw new TimeoutException()).AsTask()).Should().ThrowAsync<TimeoutException>();
        await _kv.Invoking(kv => kv.GetOrCreateAsync<int>("19", async ct => { await Task.Yield(); throw new TimeoutException(); }).AsTask())
            .Should().ThrowAsync<TimeoutException>();
        await _kv.Invoking(kv => kv.GetOrCreateAsync<string, int>("20", "state", (s, ct) => throw new TimeoutException()).AsTask())
            .Should().ThrowAsync<TimeoutException>();

        ValueTask<Price> LoadAsync(CancellationToken cancellationToken) => new(price);
    }

    [Fact]
    public async Task Options_need_no_name_of_their_type()
    {
        var ttl = TimeSpan.FromMinutes(5);
        (await _kv.GetOrCreateAsync("1", async ct => 1, new() { ExpirationTtl = ttl })).Should().Be(1);
        (await _kv.GetOrCreateAsync("2", 2, async (state, ct) => state, new() { ExpirationTtl = ttl })).Should().Be(2);
        (await _kv.GetOrCreateAsync("3", async ct => new KvCreated<int>(3), new() { ExpirationTtl = ttl })).Should().Be(3);
        (await _kv.GetOrCreateAsync("4", 4, async (state, ct) => new KvCreated<int>(state), new() { ExpirationTtl = ttl })).Should().Be(4);
        (await _kv.UpdateJsonAsync<int>("5", number => number + 5, new() { ExpirationTtl = ttl })).Should().Be(5);

        foreach (var key in (await _kv.ListAsync()).Keys)
        {
            key.Expiration.Should().NotBeNull(key.Name);
        }
    }

    [Fact]
    public async Task Default_of_a_created_value_is_the_default_value_and_is_stored()
    {
        (await _kv.GetOrCreateAsync<int>("k", _ => default)).Should().Be(0);

        (await _kv.GetTextAsync("k")).Should().Be("0");
    }

    [Fact]
    public async Task Null_is_a_value_that_is_stored_and_hit()
    {
        for (var i = 0; i < 3; i++)
        {
            (await _kv.GetOrCreateAsync<Price?>("k", async ct => { _calls++; return null; })).Should().BeNull();
        }

        _calls.Should().Be(1);
        (await _kv.GetTextAsync("k")).Should().Be("null");
    }

    [Fact]
    public async Task Skipped_value_is_returned_and_not_stored()
    {
        for (var i = 1; i <= 2; i++)
        {
            (await _kv.GetOrCreateAsync("k", async ct => KvCreated<int>.Skip(++_calls))).Should().Be(i);
        }

        (await _kv.GetAsync("k")).Exists.Should().BeFalse();
    }

    [Fact]
    public async Task Created_value_decides_its_life_and_metadata()
    {
        var time = new FakeTimeProvider();
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = time });

        await kv.GetOrCreateAsync(
            "k",
            async ct => new KvCreated<int>(1) { ExpirationTtl = TimeSpan.FromSeconds(90), Metadata = KvMetadata.FromJson("7") },
            new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(600) });

        var value = await kv.GetAsync("k");
        value.Expiration.Should().Be(time.GetUtcNow().AddSeconds(90));
        value.Metadata.ToString().Should().Be("7");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Thousand_callers_at_once_call_one_factory(bool isOnDisk)
    {
        using var directory = new TemporaryDirectory();
        await using var kv = isOnDisk
            ? await KvNamespace.OpenAsync("KV", new KvNamespaceOptions { Persistence = new FilePersistence(directory.Path) })
            : KvNamespace.Create("KV");
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var callers = Enumerable.Range(0, 1000).Select(_ => Task.Run(async () =>
        {
            await go.Task;
            return await kv.GetOrCreateAsync("k", async ct =>
            {
                Interlocked.Increment(ref _calls);
                await Task.Delay(20, ct);
                return new Price("book", 5);
            });
        })).ToArray();

        go.SetResult();

        (await Task.WhenAll(callers)).Should().AllBeEquivalentTo(new Price("book", 5));
        _calls.Should().Be(1);
    }

    [Fact]
    public async Task Value_created_before_a_restart_is_read_after_it()
    {
        using var directory = new TemporaryDirectory();
        for (var i = 0; i < 2; i++)
        {
            await using var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions { Persistence = new FilePersistence(directory.Path) });
            (await kv.GetOrCreateAsync("k", async ct => await Price(++_calls, ct))).Cents.Should().Be(1);
        }
    }

    [Fact]
    public async Task Exception_reaches_all_who_wait_and_stores_nothing()
    {
        var fail = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        var callers = Enumerable.Range(0, 20).Select(_ => _kv.GetOrCreateAsync("k", ct => new ValueTask<int>(Fail())).AsTask()).ToArray();

        fail.SetException(new TimeoutException("upstream"));

        foreach (var caller in callers)
        {
            (await caller.Invoking(task => task).Should().ThrowAsync<TimeoutException>()).WithMessage("upstream");
        }

        _calls.Should().Be(1);
        (await _kv.GetAsync("k")).Exists.Should().BeFalse();
        (await _kv.GetOrCreateAsync("k", _ => new ValueTask<int>(3))).Should().Be(3);

        Task<int> Fail()
        {
            _calls++;
            return fail.Task;
        }
    }

    [Fact]
    public async Task Cancellation_of_the_factorys_own_reaches_the_callers_as_it_is()
    {
        using var timeout = new CancellationTokenSource();
        var caller = _kv.GetOrCreateAsync<int>("k", async ct => { await Task.Delay(Timeout.Infinite, timeout.Token); return 1; });

        await timeout.CancelAsync();

        (await caller.Awaiting(task => task).Should().ThrowAsync<OperationCanceledException>()).Which.CancellationToken.Should().Be(timeout.Token);
    }

    [Fact]
    public async Task Caller_that_gives_up_leaves_the_factory_to_the_others()
    {
        using var first = new CancellationTokenSource();
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var token = CancellationToken.None;
        var leader = Create(first.Token);
        var other = Create(CancellationToken.None);

        await first.CancelAsync();

        await leader.Invoking(task => task).Should().ThrowAsync<OperationCanceledException>();
        token.IsCancellationRequested.Should().BeFalse();
        release.SetResult();
        (await other).Should().Be(1);
        _calls.Should().Be(1);

        Task<int> Create(CancellationToken cancellationToken) => _kv.GetOrCreateAsync(
            "k",
            async ct =>
            {
                token = ct;
                await release.Task;
                return ++_calls;
            },
            options: null,
            cancellationToken).AsTask();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Single_caller_that_stays_gets_a_value_that_can_be_changed(bool isSkipped)
    {
        using var first = new CancellationTokenSource();
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var leader = Create(first.Token);
        var other = Create(CancellationToken.None);
        await first.CancelAsync();
        await leader.Invoking(task => task).Should().ThrowAsync<OperationCanceledException>();

        release.SetResult();

        (await other).Should().Equal(1, 2);

        Task<List<int>> Create(CancellationToken cancellationToken) => _kv.GetOrCreateAsync(
            "k",
            async _ =>
            {
                await release.Task;
                return isSkipped ? KvCreated<List<int>>.Skip([1, 2]) : new KvCreated<List<int>>([1, 2]);
            },
            options: null,
            cancellationToken).AsTask();
    }

    [Fact]
    public async Task Last_caller_that_gives_up_cancels_the_factory_and_the_next_begins_after_it()
    {
        using var giveUp = new CancellationTokenSource();
        var token = CancellationToken.None;
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var callers = Enumerable.Range(0, 3).Select(_ => _kv.GetOrCreateAsync<int>(
            "k",
            async ct =>
            {
                token = ct;
                await release.Task;
                return 1;
            },
            options: null,
            giveUp.Token).AsTask()).ToArray();
        await giveUp.CancelAsync();
        foreach (var caller in callers)
        {
            await caller.Invoking(task => task).Should().ThrowAsync<OperationCanceledException>();
        }

        token.IsCancellationRequested.Should().BeTrue();
        var next = _kv.GetOrCreateAsync("k", _ => new ValueTask<int>(2)).AsTask();
        next.IsCompleted.Should().BeFalse("the first factory has not ended, and there is one at a time");

        release.SetResult();
        (await next).Should().Be(2);
    }

    [Fact]
    public async Task Call_that_is_cancelled_already_does_not_call_the_factory()
    {
        await _kv.Invoking(kv => kv.GetOrCreateAsync("k", _ => new ValueTask<int>(++_calls), options: null, new CancellationToken(true)).AsTask())
            .Should().ThrowAsync<OperationCanceledException>();

        _calls.Should().Be(0);
    }

    [Fact]
    public async Task Callers_share_an_immutable_object_and_get_copies_of_any_other()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var immutable = Enumerable.Range(0, 5).Select(_ => _kv.GetOrCreateAsync("i", async ct => { await release.Task; return new Price("a", 1); }).AsTask()).ToArray();
        var stored = Enumerable.Range(0, 5).Select(_ => _kv.GetOrCreateAsync("m", async ct => { await release.Task; return new List<int> { 1 }; }).AsTask()).ToArray();
        var skipped = Enumerable.Range(0, 5).Select(_ => _kv.GetOrCreateAsync("s", async ct => { await release.Task; return KvCreated<List<int>>.Skip([1]); }).AsTask()).ToArray();
        release.SetResult();

        (await Task.WhenAll(immutable)).Distinct(ReferenceEqualityComparer.Instance).Should().ContainSingle();
        foreach (var lists in new[] { await Task.WhenAll(stored), await Task.WhenAll(skipped) })
        {
            lists.Distinct(ReferenceEqualityComparer.Instance).Should().HaveCount(5);
            lists.Should().AllBeEquivalentTo(new List<int> { 1 });
        }
    }

    [Fact]
    public async Task Caller_with_another_type_waits_and_reads_what_was_stored()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var number = _kv.GetOrCreateAsync("k", async ct => { await release.Task; return 1; }).AsTask();
        var other = _kv.GetOrCreateAsync("k", async ct => { _calls++; return 2L; }).AsTask();
        other.IsCompleted.Should().BeFalse();
        release.SetResult();

        (await number).Should().Be(1);
        (await other).Should().Be(1L);
        _calls.Should().Be(0);
    }

    [Fact]
    public async Task Value_that_does_not_fit_is_an_exception_and_stays()
    {
        await _kv.PutAsync("k", "no JSON");

        await _kv.Invoking(kv => kv.GetOrCreateAsync("k", _ => new ValueTask<int>(++_calls)).AsTask()).Should().ThrowAsync<JsonException>();

        _calls.Should().Be(0);
        (await _kv.GetTextAsync("k")).Should().Be("no JSON");
    }

    [Fact]
    public async Task Factories_that_wait_for_themselves_are_an_exception()
    {
        var self = () => Create("a", ct => Create("a", One, ct)).AsTask();
        (await self.Should().ThrowAsync<InvalidOperationException>()).WithMessage("The factory for the key \"a\" asks for the key \"a\" in the namespace \"KV\"*");

        var chain = () => Create("ab", ct => Create("b", inner => _kv.WithPrefix("a").GetOrCreateAsync("b", One, options: null, inner), ct)).AsTask();
        await chain.Should().ThrowAsync<InvalidOperationException>();
        (await Create("a", ct => Create("b", One, ct))).Should().Be(1);
    }

    [Fact]
    public async Task Two_factories_that_wait_for_each_other_are_an_exception()
    {
        var both = new Barrier(2);
        var calls = new[] { ("a", "b"), ("b", "a") }.Select(keys => Task.Run(() => Create(
            keys.Item1,
            ct =>
            {
                both.SignalAndWait(ct);
                return Create(keys.Item2, One, ct);
            }).AsTask())).ToArray();

        var all = () => Task.WhenAll(calls);
        await all.Should().ThrowAsync<InvalidOperationException>();
    }

    [Fact]
    public async Task Disposing_the_namespace_cancels_the_factories_and_tells_the_callers()
    {
        var kv = KvNamespace.Create("KV");
        var caller = kv.GetOrCreateAsync<int>("k", async ct => { await Task.Delay(Timeout.Infinite, ct); return 1; }).AsTask();

        await kv.DisposeAsync();

        await caller.Invoking(task => task).Should().ThrowAsync<ObjectDisposedException>();
        await kv.Invoking(k => k.GetOrCreateAsync("k", _ => new ValueTask<int>(1)).AsTask()).Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public async Task Options_out_of_range_are_refused_before_the_factory_is_called()
    {
        FluentActions.Invoking(() => new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.Zero }).Should().Throw<ArgumentOutOfRangeException>();
        FluentActions.Invoking(() => new KvGetOrCreateOptions { StaleFor = TimeSpan.FromTicks(-1) }).Should().Throw<ArgumentOutOfRangeException>();
        FluentActions.Invoking(() => new KvGetOrCreateOptions { EagerRefresh = 1 }).Should().Throw<ArgumentOutOfRangeException>();
        FluentActions.Invoking(() => new KvGetOrCreateOptions { EagerRefresh = double.NaN }).Should().Throw<ArgumentOutOfRangeException>();
        var tooShort = await Create(new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(59) }).Should().ThrowAsync<KvException>();
        tooShort.WithMessage("KV PUT failed: 400 Invalid expiration_ttl of 59. Expiration TTL must be at least 60.");
        await Create(new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.MaxValue, StaleFor = TimeSpan.MaxValue }).Should().ThrowAsync<ArgumentException>();
        _calls.Should().Be(0);
        await Create(new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(10), StaleFor = TimeSpan.FromSeconds(50) }).Should().NotThrowAsync();

        Func<Task> Create(KvGetOrCreateOptions options) => () => _kv.GetOrCreateAsync("k", _ => new ValueTask<int>(++_calls), options).AsTask();
    }

    [Fact]
    public async Task Value_that_is_not_allowed_is_an_exception_for_all()
    {
        var callers = Enumerable.Range(0, 3).Select(_ => _kv.GetOrCreateAsync("k", async ct =>
        {
            await Task.Yield();
            return new string('x', 26_214_400);
        }).AsTask()).ToArray();

        foreach (var caller in callers)
        {
            (await caller.Invoking(task => task).Should().ThrowAsync<KvException>()).Which.StatusCode.Should().Be(413);
        }
    }

    [Fact]
    public async Task Value_that_a_full_namespace_does_not_take_is_returned_all_the_same()
    {
        var log = new LogLines();
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions
        {
            Limits = new KvLimits { NamespaceKeysMax = 1 },
            LoggerFactory = log,
        });
        await kv.PutAsync("full", "x");

        (await kv.GetOrCreateAsync("k", _ => new ValueTask<int>(7))).Should().Be(7);

        (await kv.GetAsync("k")).Exists.Should().BeFalse();
        log.Lines.Should().Contain(line => line.Contains("could not be stored"));
    }

    [Fact]
    public async Task Calls_of_factories_are_counted_by_outcome_and_repeated_updates_too()
    {
        var name = $"COUNTED {Guid.NewGuid()}";
        var counts = new ConcurrentDictionary<string, long>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Name is "kvstore.factory.calls" or "kvstore.update.retries")
            {
                self.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((instrument, count, tags, _) =>
        {
            var all = tags.ToArray().ToDictionary(tag => tag.Key, tag => tag.Value);
            if (all["db.namespace"] is string owner && owner == name)
            {
                counts.AddOrUpdate(all.TryGetValue("kvstore.outcome", out var outcome) ? (string)outcome! : instrument.Name, count, (_, sum) => sum + count);
            }
        });
        listener.Start();
        await using var kv = KvNamespace.Create(name);

        await kv.GetOrCreateAsync("stored", One);
        await kv.GetOrCreateAsync("stored", One);
        await kv.GetOrCreateAsync("skipped", _ => new ValueTask<KvCreated<int>>(KvCreated<int>.Skip(1)));
        await kv.Invoking(k => k.GetOrCreateAsync<int>("error", _ => throw new TimeoutException()).AsTask()).Should().ThrowAsync<TimeoutException>();
        await kv.GetOrCreateAsync("overtaken", async ct =>
        {
            await kv.PutAsync("overtaken", "2", options: null, ct);
            return 1;
        });
        var isFirst = true;
        await kv.UpdateAsync("retried", text =>
        {
            if (isFirst)
            {
                isFirst = false;
                kv.PutAsync("retried", "x").AsTask().GetAwaiter().GetResult();
            }

            return text + "y";
        });

        counts.Should().BeEquivalentTo(new Dictionary<string, long>
        {
            ["stored"] = 1,
            ["skipped"] = 1,
            ["error"] = 1,
            ["overtaken"] = 1,
            ["kvstore.update.retries"] = 1,
        });
    }

    [Fact]
    public async Task View_with_a_prefix_joins_the_factory_of_the_whole_key()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var whole = _kv.GetOrCreateAsync("a/k", async ct => { await release.Task; return ++_calls; }).AsTask();
        var viewed = _kv.WithPrefix("a/").GetOrCreateAsync("k", async ct => ++_calls).AsTask();
        release.SetResult();

        (await whole).Should().Be(1);
        (await viewed).Should().Be(1);
    }

    [Fact]
    public async Task Hit_allocates_nothing()
    {
        var options = new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromHours(1), StaleFor = TimeSpan.FromMinutes(1), EagerRefresh = 0.8 };
        for (var i = 0; i < 10; i++)
        {
            await _kv.GetOrCreateAsync("a key of 20 letters.", 1, static async (s, ct) => new Price("book", s), options);
        }

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            await _kv.GetOrCreateAsync("a key of 20 letters.", 1, static async (s, ct) => new Price("book", s), options);
            await _kv.GetOrCreateAsync("a key of 20 letters.", 1, static async (s, ct) => new Price("book", s));
        }

        // Another thread's clean-up may be charged to this one; a hit that allocated would show as 24,000 bytes and more.
        (GC.GetAllocatedBytesForCurrentThread() - before).Should().BeLessThan(1000);
    }

    private ValueTask<int> Create(string key, Func<CancellationToken, ValueTask<int>> factory, CancellationToken cancellationToken = default) =>
        _kv.GetOrCreateAsync(key, factory, options: null, cancellationToken);

    private static ValueTask<int> One(CancellationToken cancellationToken) => new(1);

    private async ValueTask<Price> Price(int cents, CancellationToken cancellationToken)
    {
        _calls++;
        await Task.Yield();
        cancellationToken.ThrowIfCancellationRequested();
        return new Price("book", cents);
    }
}

internal sealed record Price(string Product, int Cents);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Price))]
internal sealed partial class GetOrCreateJson : JsonSerializerContext;
