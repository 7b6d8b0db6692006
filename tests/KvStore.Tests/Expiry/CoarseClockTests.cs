using KvStore.Expiry;
using KvStore.Rules;

namespace KvStore.Tests.Expiry;

public sealed class CoarseClockTests
{
    [Fact]
    public void A_deadline_has_passed_from_its_own_second_on()
    {
        var time = new FakeTimeProvider();
        using var clock = new CoarseClock(time);
        var deadline = new Deadline((uint)clock.NowSeconds + 60);

        clock.HasPassed(deadline).Should().BeFalse();
        time.Advance(TimeSpan.FromMilliseconds(59_999));
        clock.HasPassed(deadline).Should().BeFalse();
        time.Advance(TimeSpan.FromMilliseconds(1));
        clock.HasPassed(deadline).Should().BeTrue();
    }

    [Fact]
    public void No_deadline_never_passes()
    {
        using var manual = new CoarseClock(new FakeTimeProvider());
        using var system = new CoarseClock(TimeProvider.System);

        manual.HasPassed(default(Deadline)).Should().BeFalse();
        system.HasPassed(default(Deadline)).Should().BeFalse();
    }

    [Fact]
    public void The_system_clock_is_asked_exactly_near_a_deadline()
    {
        using var clock = new CoarseClock(TimeProvider.System);
        var now = (uint)TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();

        clock.HasPassed(new Deadline(now)).Should().BeTrue();
        clock.HasPassed(new Deadline(now - 1000)).Should().BeTrue();
        clock.HasPassed(new Deadline(now + 1000)).Should().BeFalse();
    }
}
