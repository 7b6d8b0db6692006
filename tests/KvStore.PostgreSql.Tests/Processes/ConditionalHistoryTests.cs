namespace KvStore.PostgreSql.Tests.Processes;

/// <summary>The checker finds what it is there to find.</summary>
public sealed class ConditionalHistoryTests
{
    private static readonly Replacement s_first = new("a", "k", 0, "-", 1) { Revision = 10, Ended = 5 };
    private static readonly Replacement s_second = new("b", "k", 10, "a", 6) { Revision = 11, Ended = 8 };
    private static readonly Replacement s_third = new("c", "k", 11, "b", 7) { Revision = 12, Ended = 9 };

    [Fact]
    public void Chain_with_refusals_and_unknown_writes_is_accepted()
    {
        var unknown = new Replacement("u", "k", 12, "c", 10);
        var later = new Replacement("d", "k", 13, "u", 11) { Revision = 14, Ended = 12 };
        var refused = new Replacement("r", "k", 10, "a", 7) { RefusedBy = 11, Ended = 9 };
        var neverMade = new Replacement("v", "k", 12, "c", 10);
        ConditionalHistory.Check([s_first, s_second, s_third, unknown, later, refused, neverMade], "d").Should().BeEmpty();
        ConditionalHistory.Check([], "-").Should().BeEmpty();
    }

    [Fact]
    public void Two_writes_that_replace_one_value_are_found() => Check(
        [s_first, s_second, s_third with { Expected = 10, ExpectedId = "a" }], "c", "b was acknowledged and is lost");

    [Fact]
    public void Acknowledged_write_that_is_lost_is_found()
    {
        Check([s_first, s_second, s_third], "b", "c was acknowledged and is lost");
        Check([s_first], "-", "a was acknowledged and is lost");
    }

    [Fact]
    public void Refused_or_foreign_value_that_is_there_is_found()
    {
        Check([s_first, new("r", "k", 10, "a", 7) { RefusedBy = 11, Ended = 9 }], "r", "r was refused and is there");
        Check([s_first], "x", "x was never written");
    }

    [Fact]
    public void Revision_that_does_not_grow_is_found() => Check([s_first, s_second with { Revision = 9 }], "b", "b has the revision 9 after 10");

    [Fact]
    public void Write_that_replaced_another_revision_than_it_expected_is_found() =>
        Check([s_first, s_second with { Expected = 9 }], "b", "b expected 9 and replaced 10");

    [Fact]
    public void Write_that_ended_before_what_it_replaced_began_is_found() => Check(
        [s_first with { Began = 20, Ended = 30 }, s_second], "b", "b ended before");

    [Fact]
    public void Refusal_by_what_was_not_the_newest_is_found()
    {
        var refused = new Replacement("r", "k", 9, "x", 20) { RefusedBy = 11, Ended = 30 };
        Check([s_first, s_second, s_third, refused], "c", "had been replaced before");
        Check([s_first, s_second, s_third, refused with { Began = 2, Ended = 3, RefusedBy = 12 }], "c", "came later");
        Check([s_first, s_second, s_third, refused with { RefusedBy = 99 }], "c", "nobody wrote");
        Check([s_first, s_second, s_third, refused with { RefusedBy = 9 }], "c", "which it expected");
    }

    private static void Check(Replacement[] writes, string finalId, string found) =>
        ConditionalHistory.Check(writes, finalId).Should().ContainMatch($"*{found}*");
}
