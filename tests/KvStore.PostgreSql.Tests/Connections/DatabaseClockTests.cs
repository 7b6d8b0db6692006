using KvStore.PostgreSql.Connections;

namespace KvStore.PostgreSql.Tests.Connections;

public sealed class DatabaseClockTests
{
    private static readonly DateTimeOffset s_now = new(2026, 11, 27, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(0, 0)]
    [InlineData(0.7, 0)]
    [InlineData(0.8, 1)]
    [InlineData(-42.3, -42)]
    [InlineData(7200, 7200)]
    public void Difference_of_the_clocks_is_measured_to_the_second(double ahead, long offset)
    {
        var clock = new DatabaseClock(TimeProvider.System);
        clock.Measure(s_now.AddSeconds(ahead), s_now.AddMilliseconds(-20), s_now.AddMilliseconds(20)).Should().Be(offset != 0);
        clock.OffsetSeconds.Should().Be(offset);
    }

    [Fact]
    public void Difference_near_half_a_second_does_not_move_it_to_and_fro()
    {
        var clock = new DatabaseClock(TimeProvider.System);
        for (var i = 0; i < 10; i++)
        {
            clock.Measure(s_now.AddSeconds(i % 2 == 0 ? 0.45 : 0.55), s_now, s_now).Should().BeFalse();
        }

        clock.OffsetSeconds.Should().Be(0);
    }

    [Fact]
    public void Answer_that_took_long_or_came_before_its_question_says_nothing()
    {
        var clock = new DatabaseClock(TimeProvider.System);
        clock.Measure(s_now.AddSeconds(10), s_now, s_now.AddSeconds(0.6)).Should().BeFalse();
        clock.Measure(s_now.AddSeconds(10), s_now, s_now.AddSeconds(-1)).Should().BeFalse("the clock of the process was set back meanwhile");
        clock.OffsetSeconds.Should().Be(0);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3600)]
    [InlineData(-5)]
    public void Deadline_is_the_same_moment_in_the_database_and_in_the_process(long ahead)
    {
        var clock = new DatabaseClock(TimeProvider.System);
        clock.Measure(s_now.AddSeconds(ahead), s_now, s_now);
        var gone = (uint)s_now.ToUnixTimeSeconds() + 60;

        var whole = clock.ToDatabase(new KvMutation { DeadlineSeconds = gone });
        whole.Should().Be(2 * (gone + ahead));
        clock.ToSeconds(whole).Should().Be(gone);

        // Gone half a second before the second that is kept.
        var half = clock.ToDatabase(new KvMutation { DeadlineSeconds = gone, DeadlineRounding = 1 });
        half.Should().Be((2 * (gone + ahead)) - 1);
        clock.ToSeconds(half).Should().Be(gone);

        clock.ToDatabase(new KvMutation()).Should().BeNull("it never expires");
        clock.ToSeconds(null).Should().Be(0);
    }

    [Fact]
    public void Namespace_with_a_clock_of_its_own_goes_by_that_clock_alone()
    {
        var time = new FakeTimeProvider(s_now);
        var clock = new DatabaseClock(time);
        clock.Measure(s_now.AddSeconds(10), s_now, s_now).Should().BeFalse();
        clock.OffsetSeconds.Should().Be(0);
        clock.NowParameter.Should().Be(2 * s_now.ToUnixTimeSeconds());
        new DatabaseClock(TimeProvider.System).NowParameter.Should().BeNull("the database has the time");
    }
}
