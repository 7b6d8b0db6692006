using System.Text;
using KvStore.PostgreSql.Writes;

namespace KvStore.PostgreSql.Tests.Writes;

/// <summary>Which writes go together in one transaction.</summary>
public sealed class WriteBacklogTests
{
    private readonly WriteBacklog _backlog = new();

    [Fact]
    public async Task Later_put_of_a_key_takes_the_place_of_an_earlier_one_and_completes_it()
    {
        var first = Add("a");
        var other = Add("b");
        var last = Add("a");

        TakeAlone().Should().Equal(last, other);
        last.Complete(new KvEngineOutcome { Holds = true, IsMade = true, Revision = 7 });
        (await first.Done).Should().Be(new KvEngineOutcome { Holds = true });
        (await last.Done).Revision.Should().Be(7);
    }

    [Theory]
    [InlineData(KvEngineOperation.Delete)]
    [InlineData(KvEngineOperation.Touch)]
    [InlineData(KvEngineOperation.Check)]
    public void Other_write_of_a_key_waits_and_all_later_ones_of_it_behind_it(KvEngineOperation operation)
    {
        var first = Add("a");
        var second = Add("a", operation);
        var third = Add("a");
        var other = Add("b");

        TakeAlone().Should().Equal(first, other);
        TakeAlone().Should().Equal(second);
        TakeAlone().Should().Equal(third);
        _backlog.Count.Should().Be(0);
    }

    [Fact]
    public void Conditional_put_is_neither_replaced_nor_replaces()
    {
        var first = Add("a");
        var conditional = Add("a", max: 0);
        var last = Add("a");

        TakeAlone().Should().Equal(first);
        TakeAlone().Should().Equal(conditional);
        TakeAlone().Should().Equal(last);
    }

    [Fact]
    public void Barrier_parts_what_was_queued_before_it_from_what_is_queued_after_it()
    {
        var before = Add("a");
        var barrier = Add("", KvEngineOperation.Check);
        var after = Add("b");

        TakeAlone().Should().Equal(before);
        TakeAlone().Should().Equal(barrier);
        TakeAlone().Should().Equal(after);
    }

    [Fact]
    public void Entries_of_a_call_wait_behind_one_that_has_to_wait()
    {
        var group = new KvEngineGroup();
        var conditional = Add("a", max: 0);
        var first = Add("a", group: group);
        var behindTheKey = Add("a", group: group);
        var second = Add("b", group: group);
        var other = Add("c");
        var behindTheCall = Add("b");

        TakeAlone().Should().Equal(conditional, other);
        TakeAlone().Should().Equal(behindTheKey, behindTheCall);
        (behindTheKey.Superseded == first).Should().BeTrue();
        (behindTheCall.Superseded == second).Should().BeTrue();
    }

    [Fact]
    public void Entry_of_a_call_that_takes_the_place_of_a_put_stays_behind_the_entries_before_it()
    {
        var group = new KvEngineGroup();
        var put = Add("k");
        var other = Add("other");
        var first = Add("a", group: group);
        var second = Add("k", group: group);
        var third = Add("a", group: group);

        TakeAlone().Should().Equal(other, second, third);
        (second.Superseded == put).Should().BeTrue();
        (third.Superseded == first).Should().BeTrue();
    }

    [Fact]
    public async Task Write_of_a_group_fails_when_one_before_it_has_failed()
    {
        var group = new KvEngineGroup();
        var first = Add("a", group: group);
        TakeAlone().Should().Equal(first);
        var second = Add("b", group: group);
        var other = Add("c");
        first.Fail(new KvPersistenceException("It failed."));

        TakeAlone().Should().Equal(other);
        await second.Done.Invoking(done => done).Should().ThrowAsync<KvPersistenceException>().WithMessage("It failed.");
    }

    [Fact]
    public async Task Cancellation_withdraws_what_waits_and_nothing_that_was_taken()
    {
        using var source = new CancellationTokenSource();
        var taken = Add("a", cancellationToken: source.Token);
        TakeAlone().Should().Equal(taken);
        var waiting = Add("b", cancellationToken: source.Token);
        await source.CancelAsync();

        TakeAlone().Should().BeEmpty();
        await waiting.Done.Invoking(done => done).Should().ThrowAsync<OperationCanceledException>();
        taken.Done.IsCompleted.Should().BeFalse();
    }

    [Fact]
    public async Task Closed_backlog_fails_what_waits_and_what_comes()
    {
        var waiting = Add("a");
        _backlog.Close(new ObjectDisposedException("KV"));
        var late = Add("b");
        await waiting.Done.Invoking(done => done).Should().ThrowAsync<ObjectDisposedException>();
        await late.Done.Invoking(done => done).Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public void Transaction_is_bounded()
    {
        for (var i = 0; i < WriteBacklog.WritesMax + 1; i++)
        {
            Add($"{i}");
        }

        TakeAlone().Should().HaveCount(WriteBacklog.WritesMax);
        TakeAlone().Should().HaveCount(1);
    }

    // A transaction of the first lane, which ends at once.
    private List<QueuedWrite> TakeAlone()
    {
        var taken = _backlog.Take(lane: 0);
        if (taken.Count > 0)
        {
            _backlog.Release(lane: 0);
        }

        return taken;
    }

    private QueuedWrite Add(
        string key, KvEngineOperation operation = KvEngineOperation.Put, long max = long.MaxValue, KvEngineGroup? group = null, CancellationToken cancellationToken = default)
    {
        var write = Queued.Write(key, operation, max, group);
        _backlog.Add(write, cancellationToken);
        return write;
    }
}
