namespace KvStore.Tests.Writes;

/// <summary>
/// Conditional writes and touches while mutations of their keys are in flight: appended, and not known to be durable. The test decides when each
/// append completes, and how.
/// </summary>
public sealed class ConditionInFlightTests : IAsyncLifetime
{
    private readonly FakeTimeProvider _clock = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));
    private readonly HeldPersistence _disk = new();
    private KvNamespace _kv = null!;

    public async Task InitializeAsync() =>
        _kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions { Persistence = _disk, TimeProvider = _clock });

    public async Task DisposeAsync() => await _kv.DisposeAsync();

    [Fact]
    public async Task Condition_is_checked_when_the_put_in_flight_has_succeeded()
    {
        _disk.IsHolding = true;
        var put = Put("1");
        var absent = TryPut("2", KvCondition.Absent);
        absent.IsCompleted.Should().BeFalse();
        _disk.Texts.Should().Equal("put 1");

        _disk.Appends[0].Complete();

        await put;
        (await absent).Should().Be(new KvWriteResult(false, _disk.Appends[0].Revision));
        _disk.Texts.Should().Equal(["put 1"], "nothing is appended for a condition that does not hold");
    }

    [Fact]
    public async Task Condition_is_checked_when_the_put_in_flight_has_failed()
    {
        _disk.IsHolding = true;
        var put = Put("1");
        var absent = TryPut("2", KvCondition.Absent);
        var present = TryPut("3", KvCondition.Present);

        _disk.Appends[0].Fail();

        await put.Awaiting(task => task).Should().ThrowAsync<KvPersistenceException>();
        await UntilAppended(2);
        absent.IsCompleted.Should().BeFalse("it is not durable");
        present.IsCompleted.Should().BeFalse("the outcome of the one before it is not known");
        _disk.Appends[1].Complete();
        (await absent).Should().Be(new KvWriteResult(true, _disk.Appends[1].Revision));
        await UntilAppended(3);
        _disk.Appends[2].Complete();
        (await present).Succeeded.Should().BeTrue();
        (await _kv.GetTextAsync("k")).Should().Be("3");
    }

    [Fact]
    public async Task Write_behind_a_conditional_write_that_waits_comes_after_it()
    {
        _disk.IsHolding = true;
        Task[] writes = [Put("1"), TryPut("2", KvCondition.Present), Put("3"), _kv.DeleteAsync("k").AsTask(), Put("4")];
        var other = _kv.PutAsync("other", "5").AsTask();
        _disk.Texts.Should().Equal(["put 1", "put 5"], "other keys do not wait");

        _disk.Appends[0].Complete();
        await UntilAppended(3);
        _disk.Appends[2].Text.Should().Be("put 2");
        await UntilAppended(6);
        _disk.Texts.Should().Equal("put 1", "put 5", "put 2", "put 3", "delete", "put 4");

        // In any order: the last one wins.
        foreach (var i in new[] { 5, 3, 4, 2, 1 })
        {
            _disk.Appends[i].Complete();
        }

        await Task.WhenAll([.. writes, other]);
        (await _kv.GetTextAsync("k")).Should().Be("4");
    }

    [Fact]
    public async Task Endless_puts_of_a_key_do_not_keep_a_conditional_write_waiting()
    {
        _disk.IsHolding = true;
        var isOver = false;
        var writers = Enumerable.Range(0, 4).Select(async writer =>
        {
            for (var i = 0; !isOver; i++)
            {
                await Put($"{writer} {i}");
            }
        }).ToArray();
        var present = TryPut("conditional", KvCondition.Present);

        for (var completed = 0; !present.IsCompleted; completed++)
        {
            completed.Should().BeLessThan(50, "each of the four writers is passed once");
            await UntilAppended(completed + 1);
            _disk.Appends[completed].Complete();
            await Task.Yield();
        }

        (await present).Succeeded.Should().BeTrue();
        isOver = true;
        _disk.IsHolding = false;
        foreach (var append in _disk.Appends)
        {
            append.Complete();
        }

        await Task.WhenAll(writers);
    }

    [Fact]
    public async Task Conditional_write_cancelled_while_it_waits_changes_nothing_and_holds_nobody_up()
    {
        _disk.IsHolding = true;
        using var cancellation = new CancellationTokenSource();
        var put = Put("1");
        var cancelled = _kv.TryPutAsync("k", "2", KvCondition.Present, cancellationToken: cancellation.Token).AsTask();
        var deleted = _kv.TryDeleteAsync("k", KvCondition.Present, cancellation.Token).AsTask();
        var touched = _kv.TouchAsync("k", null, cancellation.Token).AsTask();
        var last = TryPut("3", KvCondition.Present);

        await cancellation.CancelAsync();

        foreach (Task task in new Task[] { cancelled, deleted, touched })
        {
            await task.Awaiting(task => task).Should().ThrowAsync<OperationCanceledException>();
        }

        _disk.Appends[0].Complete();
        await put;
        await UntilAppended(2);
        _disk.Texts.Should().Equal("put 1", "put 3");
        _disk.Appends[1].Complete();
        (await last).Succeeded.Should().BeTrue();
        _disk.IsHolding = false;
        await Put("4");
        (await _kv.GetTextAsync("k")).Should().Be("4");
    }

    [Fact]
    public async Task Conditional_write_that_fails_leaves_what_stood_and_says_what_failed()
    {
        await Put("1");
        var revision = (await _kv.GetAsync("k")).Revision;
        _disk.IsHolding = true;
        var put = TryPut("2", KvCondition.Revision(revision));
        var next = TryPut("3", KvCondition.Revision(revision));

        _disk.Appends[1].Fail();

        (await put.Awaiting(task => task).Should().ThrowAsync<KvPersistenceException>())
            .WithMessage("PUT of the key \"k\" in the namespace \"KV\": The disk said no.");
        (await _kv.GetTextAsync("k")).Should().Be("1");
        await UntilAppended(3);
        _disk.Appends[2].Complete();
        (await next).Succeeded.Should().BeTrue();
        (await _kv.GetTextAsync("k")).Should().Be("3");

        var touch = _kv.TouchAsync("k", null).AsTask();
        _disk.Appends[3].Fail();
        (await touch.Awaiting(task => task).Should().ThrowAsync<KvPersistenceException>())
            .WithMessage("TOUCH of the key \"k\" in the namespace \"KV\": The disk said no.");
        var delete = _kv.TryDeleteAsync("k", KvCondition.Present).AsTask();
        _disk.Appends[4].Fail();
        (await delete.Awaiting(task => task).Should().ThrowAsync<KvPersistenceException>())
            .WithMessage("DELETE of the key \"k\" in the namespace \"KV\": The disk said no.");
        (await _kv.GetTextAsync("k")).Should().Be("3");
    }

    [Fact]
    public async Task Touch_waits_for_the_put_in_flight_and_touches_what_it_has_stored()
    {
        await Put("1");
        _disk.IsHolding = true;
        var put = Put("2");
        var touch = _kv.TouchAsync("k", TimeSpan.FromSeconds(100)).AsTask();
        var again = _kv.TouchAsync("k", TimeSpan.FromSeconds(200)).AsTask();
        _disk.Texts.Should().Equal("put 1", "put 2");

        _disk.Appends[1].Complete();
        await put;
        await UntilAppended(3);
        _disk.Appends[2].Text.Should().Be($"touch {_disk.Appends[1].Revision} 2", "a provider that knows no touches gets the whole entry");
        _disk.Appends[2].Complete();
        (await touch).Should().BeTrue();
        await UntilAppended(4);
        _disk.Appends[3].Text.Should().Be($"touch {_disk.Appends[2].Revision} 2");
        _disk.Appends[3].Complete();
        (await again).Should().BeTrue();
        (await _kv.GetAsync("k")).Expiration.Should().Be(_clock.GetUtcNow().AddSeconds(200));
        (await _kv.GetTextAsync("k")).Should().Be("2");
    }

    [Fact]
    public async Task Touch_behind_a_delete_in_flight_finds_nothing_and_appends_nothing()
    {
        await Put("1");
        _disk.IsHolding = true;
        var delete = _kv.DeleteAsync("k").AsTask();
        var touch = _kv.TouchAsync("k", null).AsTask();

        _disk.Appends[1].Complete();

        await delete;
        (await touch).Should().BeFalse();
        _disk.Appends.Should().HaveCount(2);
    }

    [Fact]
    public async Task Stream_of_a_conditional_put_is_not_read_before_the_put_in_flight_is_known()
    {
        _disk.IsHolding = true;
        var put = Put("1");
        var stream = new MemoryStream(new byte[10]);
        var absent = _kv.TryPutAsync("k", stream, KvCondition.Absent).AsTask();

        absent.IsCompleted.Should().BeFalse();
        stream.Position.Should().Be(0);
        _disk.Appends[0].Complete();

        await put;
        (await absent).Succeeded.Should().BeFalse();
        stream.Position.Should().Be(0);
    }

    [Fact]
    public async Task Namespace_that_is_disposed_ends_the_wait()
    {
        _disk.IsHolding = true;
        var put = Put("1");
        var present = TryPut("2", KvCondition.Present);
        var touch = _kv.TouchAsync("k", null).AsTask();
        var later = Put("3");

        await _kv.DisposeAsync();

        await put;
        foreach (Task task in new Task[] { present, touch, later })
        {
            await task.Awaiting(task => task).Should().ThrowAsync<ObjectDisposedException>();
        }

        _disk.Texts.Should().Equal("put 1");
    }

    [Fact]
    public async Task Entry_that_expires_while_its_touch_is_in_flight_lives_on_and_is_in_a_snapshot()
    {
        await _kv.PutAsync("k", "value", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) });
        var through = _disk.Appends[0].Revision;
        _disk.IsHolding = true;
        var touch = _kv.TouchAsync("k", TimeSpan.FromSeconds(600)).AsTask();
        _clock.Advance(TimeSpan.FromSeconds(61));
        (await _kv.GetAsync("k")).Exists.Should().BeFalse("the touch is not durable");

        // The compaction of a log that has the put: the touch is in the log behind it, which has no value.
        var shown = new List<string>();
        var snapshot = _disk.Host.WriteLiveAsync(
            through, (in mutation) => shown.Add(FormattableString.Invariant($"{mutation.Revision} {mutation.DeadlineSeconds}")), default).AsTask();
        _disk.Appends[1].Complete();
        await snapshot;

        (await touch).Should().BeTrue();
        (await _kv.GetTextAsync("k")).Should().Be("value");
        shown.Should().Equal(FormattableString.Invariant($"{_disk.Appends[1].Revision} {_clock.GetUtcNow().ToUnixTimeSeconds() - 61 + 600}"));
    }

    [Fact]
    public async Task Snapshot_shows_an_entry_once_when_no_touch_was_late()
    {
        await _kv.PutAsync("k", "value", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) });
        await _kv.TouchAsync("k", TimeSpan.FromSeconds(600));
        var shown = 0;

        await _disk.Host.WriteLiveAsync(_disk.Appends[^1].Revision, (in _) => shown++, default);

        shown.Should().Be(1);
    }

    private Task Put(string value) => _kv.PutAsync("k", value).AsTask();

    private Task<KvWriteResult> TryPut(string value, KvCondition condition) => _kv.TryPutAsync("k", value, condition).AsTask();

    // A write that waited goes on on another thread.
    private async Task UntilAppended(int count)
    {
        while (_disk.Appends.Count < count)
        {
            await Task.Delay(1);
        }
    }
}
