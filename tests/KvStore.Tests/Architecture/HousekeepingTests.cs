namespace KvStore.Tests.Architecture;

public sealed class HousekeepingTests
{
    [Fact]
    public void A_file_of_the_library_holds_one_idea_in_450_lines_at_the_most_and_is_no_drawer() =>
        SourceTree.UntidyFilesOf(SourceTree.Library).Should().BeEmpty();

    [Fact]
    public void The_test_sees_a_file_that_is_too_long() =>
        SourceTree.UntidyFilesOf(SourceTree.Library, linesMax: 400).Should().Contain("Persistence/Log/CommitQueue.cs");
}
