using KvStore.Tickets;

namespace KvStore.AspNetCore.Tests.Tickets;

public sealed class RemovedUsersTests
{
    [Fact]
    public void User_who_was_removed_after_a_moment_is_known()
    {
        var removed = new RemovedUsers(usersMax: 10);
        var before = removed.Now;
        removed.Add("ada");

        removed.WasRemovedAfter("ada", before).Should().BeTrue();
        removed.WasRemovedAfter("grace", before).Should().BeFalse();
        removed.WasRemovedAfter("ada", removed.Now).Should().BeFalse();
    }

    [Fact]
    public void Memory_is_bounded_and_what_was_forgotten_counts_as_removed()
    {
        var removed = new RemovedUsers(usersMax: 3);
        var before = removed.Now;
        for (var i = 0; i < 1000; i++)
        {
            removed.Add($"user {i % 7}");
        }

        removed.Count.Should().BeLessThanOrEqualTo(3);
        removed.WasRemovedAfter("somebody else", before).Should().BeTrue();
        removed.WasRemovedAfter("somebody else", removed.Now).Should().BeFalse();
    }
}
