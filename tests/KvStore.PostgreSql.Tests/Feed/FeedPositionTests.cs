using KvStore.PostgreSql.Feed;
using KvStore.PostgreSql.Schema;
using KvStore.PostgreSql.Sweeping;

namespace KvStore.PostgreSql.Tests.Feed;

public sealed class FeedPositionTests
{
    private const long First = 4_000_000;

    public static TheoryData<long> Slots => [.. Enumerable.Range(0, SchemaScript.Slots).Select(static i => First + i)];

    [Theory]
    [MemberData(nameof(Slots))]
    public void Partitions_that_a_sweeper_empties_are_no_loss(long slot)
    {
        var position = new FeedPosition("1:1:", slot, FilesAfter());
        for (var later = slot; later <= slot + 1; later++)
        {
            position.HasLost(FilesAfter([.. Enumerable.Range(1, Sweeper.SlotsAhead).Select(ahead => later + ahead)])).Should().BeFalse();
        }
    }

    [Theory]
    [MemberData(nameof(Slots))]
    public void Partition_that_no_sweeper_empties_is_a_loss_when_somebody_does(long slot)
    {
        var position = new FeedPosition("1:1:", slot, FilesAfter());
        for (var back = 0; back < 4; back++)
        {
            position.HasLost(FilesAfter(slot - back)).Should().BeTrue();
        }

        position.HasLost(FilesAfter()).Should().BeFalse();
        position.HasLost("").Should().BeTrue("all partitions were dropped");
    }

    [Fact]
    public void Position_is_written_and_read_back()
    {
        var position = new FeedPosition("10:20:10,14,15", First, FilesAfter(First));

        FeedPosition.Parse(position.ToString()).Should().Be(position);
        FeedPosition.Parse(new FeedPosition("1:1:", 7, "").ToString()).Should().Be(new FeedPosition("1:1:", 7, ""));
    }

    private static string FilesAfter(params long[] emptied) => string.Join(
        ',', Enumerable.Range(0, SchemaScript.Slots).Select(i => $"changes_{i}/{(emptied.Any(slot => slot % SchemaScript.Slots == i) ? 9000 : 1000) + i}"));
}
