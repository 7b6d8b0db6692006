using KvStore.Watching;

namespace KvStore.Tests.Watching;

/// <summary>Where a watch goes on when revisions arrive out of order.</summary>
public sealed class RevisionHistoryTests
{
    private readonly FakeTimeProvider _clock = new();
    private readonly RevisionHistory _history;

    public RevisionHistoryTests()
    {
        _history = new RevisionHistory(_clock);
        _history.Begin(100);
    }

    [Fact]
    public void Revision_from_before_the_beginning_begins_anew() => _history.ResumeAfter(99).Should().BeNull();

    [Fact]
    public void Revision_of_the_last_minute_goes_on_at_the_beginning()
    {
        Pass(TimeSpan.FromSeconds(30), 200);
        _history.ResumeAfter(200).Should().Be(100);
        _history.ResumeAfter(100).Should().Be(100);
    }

    [Fact]
    public void Watch_goes_on_a_minute_before_its_revision_was_seen_first()
    {
        for (var minute = 1; minute <= 10; minute++)
        {
            Pass(TimeSpan.FromMinutes(1), 100 + minute);
        }

        // Seen first at minute 5; a mutation that got its revision in minute 4 may have come after it.
        _history.ResumeAfter(105).Should().Be(104);

        // The same revision for long: a removal without a revision of its own has it too, so a lower one is taken.
        Pass(TimeSpan.FromMinutes(5), 110);
        _history.ResumeAfter(110).Should().Be(109);
    }

    [Fact]
    public void Revision_from_more_than_half_an_hour_ago_begins_anew()
    {
        for (var minute = 1; minute <= 60; minute++)
        {
            Pass(TimeSpan.FromMinutes(1), 100 + minute);
        }

        _history.ResumeAfter(105).Should().BeNull();
        _history.ResumeAfter(155).Should().Be(154);
    }

    private void Pass(TimeSpan time, long revision)
    {
        _clock.Advance(time);
        _history.Note(revision);
    }
}
