using System.Text;
using KvStore.PostgreSql.Writes;

namespace KvStore.PostgreSql.Tests.Writes;

/// <summary>Which writes are in flight at once in two lanes.</summary>
public sealed class WriteLanesTests
{
    private readonly WriteBacklog _backlog = new();
    private int? _begun;

    [Fact]
    public void Few_writes_wait_for_the_lane_that_is_busy()
    {
        var first = Add("a");
        _begun.Should().Be(0);
        _backlog.Take(0).Should().Equal(first);

        var waiting = AddMany(WriteBacklog.WorthwhileFrom - 1);
        _begun.Should().BeNull();
        _backlog.Release(0).Should().BeTrue();
        _backlog.Take(0).Should().Equal(waiting);
        _backlog.Release(0).Should().BeFalse();
        Add("b");
        _begun.Should().Be(0);
    }

    [Fact]
    public void Enough_writes_begin_the_second_lane()
    {
        Add("a");
        _backlog.Take(0);
        var waiting = AddMany(WriteBacklog.WorthwhileFrom);

        _begun.Should().Be(1);
        _backlog.Opened(1);
        _backlog.Take(1).Should().Equal(waiting);
        _backlog.Release(0).Should().BeFalse();
        _backlog.Release(1).Should().BeFalse();
    }

    [Fact]
    public void Lane_that_ends_leaves_few_writes_to_the_other()
    {
        BeginBoth();
        var few = AddMany(3);
        _backlog.Release(0).Should().BeFalse();
        _begun.Should().BeNull();
        _backlog.Release(1).Should().BeTrue();
        _backlog.Take(1).Should().Equal(few);
    }

    [Fact]
    public void Lane_that_finds_few_writes_leaves_them_to_the_other_and_begins_again_for_more()
    {
        BeginBoth(second: "k");
        var other = AddMany(WriteBacklog.WorthwhileFrom - 1);
        var behind = Add("k");
        _backlog.Release(0).Should().BeTrue("enough waits, as far as is known");
        _backlog.Take(0).Should().BeEmpty("one of them waits for the other lane");

        var last = Add("b");
        _begun.Should().Be(0);
        _backlog.Take(0).Should().Equal([.. other, last]);
        _backlog.Release(1).Should().BeFalse();
        _backlog.Release(0).Should().BeTrue();
        _backlog.Take(0).Should().Equal(behind);
    }

    [Fact]
    public void Nothing_waits_for_a_lane_that_opens_its_connection()
    {
        Add("a");
        _backlog.Take(0);
        var waiting = AddMany(WriteBacklog.WorthwhileFrom);
        _begun.Should().Be(1);

        _backlog.Release(0).Should().BeTrue();
        _backlog.Take(0).Should().Equal(waiting);
        _backlog.GiveUp(1);
        _backlog.Release(0).Should().BeFalse();
        var next = Add("b");
        _begun.Should().Be(0);
        _backlog.Take(0).Should().Equal(next);
    }

    [Fact]
    public void All_writes_are_taken_while_no_other_lane_has_a_connection()
    {
        Add("a");
        _backlog.Take(0);
        var waiting = AddMany(WriteBacklog.SharedFrom);
        _begun.Should().Be(1);
        _backlog.Release(0);
        _backlog.Take(0).Should().Equal(waiting);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Single_write_does_not_wait_for_a_transaction_that_takes_long(bool isLarge)
    {
        AddMany(isLarge ? WriteBacklog.LongFrom : 1, new KvEngineGroup());
        if (_begun == 1)
        {
            _backlog.GiveUp(1);
        }

        _backlog.Take(0).Should().HaveCount(isLarge ? WriteBacklog.LongFrom : 1);
        if (!isLarge)
        {
            _backlog.NoteDelay(0);
        }

        var single = Add("single");
        _begun.Should().Be(1);
        _backlog.Opened(1);
        _backlog.Take(1).Should().Equal(single);
    }

    [Fact]
    public void Single_write_that_waits_is_worth_a_lane_when_the_transaction_begins_to_take_long()
    {
        Add("a");
        _backlog.Take(0);
        Add("a");
        Add("b");
        _begun.Should().BeNull();
        _backlog.NoteDelay(0);
        _backlog.BeginAnother().Should().Be(1);
    }

    [Fact]
    public void Many_writes_are_shared_evenly()
    {
        BeginBoth();
        _backlog.Release(0);
        _backlog.Release(1);
        var writes = AddMany(WriteBacklog.SharedFrom);
        _begun.Should().Be(1);
        _backlog.Opened(1);

        _backlog.Take(1).Should().Equal(writes.Take(WriteBacklog.SharedFrom / 2));
        _backlog.Take(0).Should().Equal(writes.Skip(WriteBacklog.SharedFrom / 2));
    }

    [Fact]
    public void Entries_of_a_call_are_not_shared()
    {
        BeginBoth();
        _backlog.Release(0);
        _backlog.Release(1);
        var group = new KvEngineGroup();
        var writes = AddMany(WriteBacklog.SharedFrom, group);
        _backlog.Opened(1);
        _backlog.Take(0).Should().Equal(writes);
        _backlog.Take(1).Should().BeEmpty();
    }

    [Fact]
    public void Writes_of_a_key_that_another_lane_has_wait_for_it_in_their_order()
    {
        BeginBoth(first: "k");
        var behind = Add("k");
        var last = Add("k");
        var conditional = Add("k", max: 0);
        var others = AddMany(WriteBacklog.WorthwhileFrom);
        _backlog.Release(1).Should().BeTrue();
        _backlog.Take(1).Should().Equal(others);

        _backlog.Release(0).Should().BeFalse();
        _backlog.Release(1).Should().BeTrue();
        _backlog.Take(1).Should().Equal(last);
        (last.Superseded == behind).Should().BeTrue();
        _backlog.Release(1).Should().BeTrue();
        _backlog.Take(1).Should().Equal(conditional);
    }

    [Fact]
    public void Writes_of_one_key_that_wait_for_a_lane_do_not_begin_another()
    {
        Add("k", max: 0);
        _backlog.Take(0);
        for (var i = 0; i < 10 * WriteBacklog.WorthwhileFrom; i++)
        {
            Add("k", max: 0);
            _begun.Should().BeNull();
        }
    }

    [Fact]
    public void Later_entries_of_a_call_wait_for_the_lane_that_has_the_earlier_ones()
    {
        var group = new KvEngineGroup();
        Add("a", group: group);
        _backlog.Take(0);
        var second = Add("b", group: group);
        var behind = Add("b");
        var others = AddMany(WriteBacklog.WorthwhileFrom);
        _begun.Should().Be(1);
        _backlog.Opened(1);
        _backlog.Take(1).Should().Equal(others);

        _backlog.Release(0).Should().BeFalse("two are left to the other lane");
        _backlog.Release(1).Should().BeTrue();
        _backlog.Take(1).Should().Equal(behind);
        (behind.Superseded == second).Should().BeTrue();
    }

    [Fact]
    public void Entries_of_a_call_wait_behind_one_whose_key_another_lane_has()
    {
        var group = new KvEngineGroup();
        BeginBoth(first: "k");
        var first = Add("k", group: group);
        var second = Add("b", group: group);
        var others = AddMany(WriteBacklog.WorthwhileFrom);
        _backlog.Release(1);
        _backlog.Take(1).Should().Equal(others);
        _backlog.Release(1);
        _backlog.Release(0).Should().BeTrue();
        _backlog.Take(0).Should().Equal(first, second);
    }

    [Fact]
    public async Task Entry_of_a_call_that_failed_in_another_lane_fails()
    {
        var group = new KvEngineGroup();
        var first = Add("a", group: group);
        _backlog.Take(0);
        var second = Add("b", group: group);
        first.Fail(new KvPersistenceException("It failed."));
        _backlog.Release(0).Should().BeTrue();
        _backlog.Take(0).Should().BeEmpty();
        await second.Done.Invoking(done => done).Should().ThrowAsync<KvPersistenceException>().WithMessage("It failed.");
    }

    [Fact]
    public void Barrier_waits_for_both_lanes_and_nothing_goes_before_it()
    {
        BeginBoth();
        var barrier = Add("", KvEngineOperation.Check);
        var after = AddMany(WriteBacklog.SharedFrom);
        _begun.Should().BeNull();
        _backlog.Release(0).Should().BeTrue();
        _backlog.Take(0).Should().BeEmpty();
        Add("b");
        _begun.Should().BeNull();

        _backlog.Release(1).Should().BeTrue();
        _backlog.Take(1).Should().Equal(barrier);
        _backlog.BeginAnother().Should().BeNull("nothing goes before it");
        _backlog.Release(1).Should().BeTrue();
        _backlog.Take(1).Should().Equal(after.Take((WriteBacklog.SharedFrom + 2) / 2));
    }

    [Fact]
    public async Task Writes_behind_a_barrier_that_is_withdrawn_are_taken()
    {
        using var source = new CancellationTokenSource();
        BeginBoth();
        _backlog.Release(1);
        Add("", KvEngineOperation.Check, cancellationToken: source.Token);
        var after = AddMany(WriteBacklog.WorthwhileFrom - 1);
        await source.CancelAsync();
        var last = Add("b");
        _begun.Should().Be(1);
        _backlog.Opened(1);
        _backlog.Take(1).Should().Equal([.. after, last]);
    }

    [Fact]
    public void Barrier_that_is_cancelled_already_holds_up_nothing()
    {
        Add("", KvEngineOperation.Check, cancellationToken: new CancellationToken(canceled: true));
        _begun.Should().BeNull();
        Add("a");
        _begun.Should().Be(0);
        _backlog.Take(0);
        AddMany(WriteBacklog.WorthwhileFrom);
        _begun.Should().Be(1);
    }

    [Fact]
    public void End_waits_for_what_waits_and_for_both_lanes()
    {
        _backlog.WhenEnded().IsCompleted.Should().BeTrue();
        BeginBoth();
        var ended = _backlog.WhenEnded();
        _backlog.Release(0);
        ended.IsCompleted.Should().BeFalse();
        _backlog.Release(1);
        ended.IsCompleted.Should().BeTrue();

        Add("a");
        _backlog.Take(0);
        AddMany(WriteBacklog.WorthwhileFrom);
        ended = _backlog.WhenEnded();
        _backlog.Release(0);
        _backlog.Take(0);
        _backlog.Release(0);
        ended.IsCompleted.Should().BeFalse("the second lane opens its connection");
        _backlog.GiveUp(1);
        ended.IsCompleted.Should().BeTrue();
    }

    // The first lane has one write in flight, and the second some.
    private void BeginBoth(string first = "first", string second = "second")
    {
        Add(first);
        _backlog.Take(0).Should().HaveCount(1);
        Add(second);
        AddMany(WriteBacklog.WorthwhileFrom - 1);
        _begun.Should().Be(1);
        _backlog.Opened(1);
        _backlog.Take(1).Should().HaveCount(WriteBacklog.WorthwhileFrom);
        _begun = null;
    }

    private QueuedWrite[] AddMany(int count, KvEngineGroup? group = null)
    {
        var writes = new QueuedWrite[count];
        int? begun = null;
        for (var i = 0; i < count; i++)
        {
            writes[i] = Add($"{Guid.NewGuid()}", group: group);
            begun = _begun ?? begun;
        }

        _begun = begun;
        return writes;
    }

    private QueuedWrite Add(
        string key, KvEngineOperation operation = KvEngineOperation.Put, long max = long.MaxValue, KvEngineGroup? group = null, CancellationToken cancellationToken = default)
    {
        var write = Queued.Write(key, operation, max, group);
        _begun = _backlog.Add(write, cancellationToken);
        return write;
    }
}
