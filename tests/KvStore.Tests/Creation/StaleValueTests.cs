namespace KvStore.Tests.Creation;

/// <summary>Values that are refreshed before and after the end of their fresh life.</summary>
public sealed class StaleValueTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));
    private readonly LogLines _log = new();
    private readonly KvNamespace _kv;
    private int _calls;

    public StaleValueTests() => _kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = _time, LoggerFactory = _log });

    public ValueTask DisposeAsync() => _kv.DisposeAsync();

    [Fact]
    public async Task Value_is_fresh_for_its_time_to_live_and_then_created_anew()
    {
        var options = new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(100) };
        (await Get(options)).Should().Be(1);
        _time.Advance(TimeSpan.FromSeconds(100) - TimeSpan.FromTicks(1));
        (await Get(options)).Should().Be(1);
        _time.Advance(TimeSpan.FromSeconds(1));
        (await Get(options)).Should().Be(2);
    }

    [Fact]
    public async Task Stale_value_is_returned_at_once_while_one_caller_refreshes()
    {
        var options = new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(100), StaleFor = TimeSpan.FromSeconds(50) };
        (await Get(options)).Should().Be(1);
        (await _kv.GetAsync("k")).Expiration.Should().Be(_time.GetUtcNow().AddSeconds(150));
        _time.Advance(TimeSpan.FromSeconds(101));
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        for (var i = 0; i < 20; i++)
        {
            (await Get(options, release.Task)).Should().Be(1);
        }

        release.SetResult();
        await Until(async () => await Get(options) == 2);
        _calls.Should().Be(2);
        (await _kv.GetAsync("k")).Expiration.Should().Be(_time.GetUtcNow().AddSeconds(150));
    }

    [Fact]
    public async Task Stale_value_is_gone_when_its_stale_time_ends()
    {
        var options = new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(100), StaleFor = TimeSpan.FromSeconds(50) };
        await Get(options);
        _time.Advance(TimeSpan.FromSeconds(151));

        (await Get(options)).Should().Be(2);
    }

    [Fact]
    public async Task Failed_refresh_is_logged_and_the_stale_value_stays()
    {
        var options = new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(100), StaleFor = TimeSpan.FromSeconds(50) };
        await Get(options);
        _time.Advance(TimeSpan.FromSeconds(101));

        (await Fail(options)).Should().Be(1);

        await Until(() => new(_log.Warnings.Any()));
        _log.Warnings.First().Should().Contain("failed in the background").And.Contain("upstream");
        (await Fail(options)).Should().Be(1);
        _time.Advance(TimeSpan.FromSeconds(50));
        await this.Awaiting(test => test.Fail(options)).Should().ThrowAsync<TimeoutException>();
    }

    [Fact]
    public async Task Old_value_is_returned_where_the_factory_fails_and_only_there()
    {
        var options = new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(100), StaleOnError = TimeSpan.FromHours(1) };
        await Get(options);
        _time.Advance(TimeSpan.FromSeconds(101));

        (await Fail(options)).Should().Be(1);
        _log.Warnings.Should().ContainSingle().Which.Should().Contain("the old value is returned").And.Contain("upstream");
        (await Get(options)).Should().Be(3);
        _time.Advance(TimeSpan.FromSeconds(3701));
        await this.Awaiting(test => test.Fail(options)).Should().ThrowAsync<TimeoutException>();
    }

    [Fact]
    public async Task Caller_that_gives_up_gets_no_old_value()
    {
        var options = new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(100), StaleOnError = TimeSpan.FromHours(1) };
        await Get(options);
        _time.Advance(TimeSpan.FromSeconds(101));
        using var giveUp = new CancellationTokenSource();
        var call = _kv.GetOrCreateAsync<int>("k", async ct => { await Task.Delay(Timeout.Infinite, ct); return 0; }, options, giveUp.Token).AsTask();

        await giveUp.CancelAsync();

        await call.Awaiting(task => task).Should().ThrowAsync<OperationCanceledException>();
    }

    [Fact]
    public async Task Both_stale_times_count_from_the_end_of_the_fresh_life()
    {
        var options = new KvGetOrCreateOptions
        {
            ExpirationTtl = TimeSpan.FromSeconds(100),
            StaleFor = TimeSpan.FromSeconds(50),
            StaleOnError = TimeSpan.FromSeconds(200),
        };
        await Get(options);
        (await _kv.GetAsync("k")).Expiration.Should().Be(_time.GetUtcNow().AddSeconds(300));
        _time.Advance(TimeSpan.FromSeconds(151));

        (await Fail(options)).Should().Be(1);
        _calls.Should().Be(2, "the caller waited for the factory");
        (await Get(options)).Should().Be(3);
    }

    [Fact]
    public async Task Value_is_refreshed_ahead_after_a_fraction_of_its_life()
    {
        var options = new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(100), EagerRefresh = 0.8 };
        await Get(options);
        _time.Advance(TimeSpan.FromSeconds(79));
        (await Get(options)).Should().Be(1);
        await Task.Yield();
        _calls.Should().Be(1);

        _time.Advance(TimeSpan.FromSeconds(2));
        (await Get(options)).Should().Be(1);

        await Until(async () => await Get(options) == 2);
        (await _kv.GetAsync("k")).Expiration.Should().Be(_time.GetUtcNow().AddSeconds(100));
    }

    [Fact]
    public async Task Jitter_spreads_the_ends_and_never_shortens_a_life()
    {
        var options = new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(100), Jitter = TimeSpan.FromSeconds(1000) };
        var lives = new HashSet<TimeSpan>();
        for (var i = 0; i < 50; i++)
        {
            await _kv.GetOrCreateAsync($"{i}", _ => new ValueTask<int>(1), options);
            lives.Add((await _kv.GetAsync($"{i}")).Expiration!.Value - _time.GetUtcNow());
        }

        lives.Should().HaveCountGreaterThan(20).And.OnlyContain(life => life >= TimeSpan.FromSeconds(100) && life <= TimeSpan.FromSeconds(1100));
    }

    [Fact]
    public async Task Entry_without_an_expiration_is_always_fresh()
    {
        await _kv.PutAsync("k", "9");
        var options = new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(100), StaleFor = TimeSpan.FromDays(3000), EagerRefresh = 0.1 };
        _time.Advance(TimeSpan.FromDays(1000));

        (await Get(options)).Should().Be(9);
        _calls.Should().Be(0);
    }

    [Fact]
    public async Task Refresh_in_the_background_ends_with_the_namespace()
    {
        var options = new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(100), StaleFor = TimeSpan.FromSeconds(50) };
        await Get(options);
        _time.Advance(TimeSpan.FromSeconds(101));
        var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var called = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await _kv.GetOrCreateAsync<int>(
            "k",
            async ct =>
            {
                ct.Register(cancelled.SetResult);
                called.SetResult();
                await Task.Delay(Timeout.Infinite, ct);
                return 0;
            },
            options);
        await called.Task.WaitAsync(TimeSpan.FromSeconds(30));

        await _kv.DisposeAsync();

        await cancelled.Task.WaitAsync(TimeSpan.FromSeconds(30));
        _log.Warnings.Should().BeEmpty();
    }

    [Fact]
    public async Task Callers_join_a_refresh_when_the_old_value_is_gone()
    {
        var options = new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(100), StaleFor = TimeSpan.FromSeconds(50) };
        await Get(options);
        _time.Advance(TimeSpan.FromSeconds(101));
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        (await Get(options, release.Task)).Should().Be(1);
        _time.Advance(TimeSpan.FromSeconds(50));
        using var giveUp = new CancellationTokenSource();
        var impatient = _kv.GetOrCreateAsync("k", _ => new ValueTask<int>(99), options, giveUp.Token).AsTask();
        var patient = Get(options);
        await giveUp.CancelAsync();
        await impatient.Awaiting(task => task).Should().ThrowAsync<OperationCanceledException>();

        release.SetResult();

        (await patient).Should().Be(2);
    }

    private Task<int> Get(KvGetOrCreateOptions options, Task? release = null) => _kv.GetOrCreateAsync(
        "k",
        async ct =>
        {
            var number = Interlocked.Increment(ref _calls);
            await (release ?? Task.CompletedTask).WaitAsync(ct);
            return number;
        },
        options).AsTask();

    private Task<int> Fail(KvGetOrCreateOptions options) => _kv.GetOrCreateAsync<int>(
        "k",
        _ =>
        {
            Interlocked.Increment(ref _calls);
            throw new TimeoutException("upstream");
        },
        options).AsTask();

    private static async Task Until(Func<ValueTask<bool>> condition)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!await condition())
        {
            await Task.Delay(1, limit.Token);
        }
    }
}
