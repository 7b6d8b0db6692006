using System.Reflection;

namespace KvStore.Tests.Architecture;

public sealed class HousekeepingTests
{
    [Fact]
    public void File_of_the_library_holds_at_most_450_lines_and_is_no_drawer() =>
        SourceTree.UntidyFilesOf(SourceTree.Library).Should().BeEmpty();

    [Fact]
    public void The_test_sees_a_file_that_is_too_long() =>
        SourceTree.UntidyFilesOf(SourceTree.Library, linesMax: 400).Should().Contain("Persistence/Log/CommitQueue.cs");

    [Fact]
    public void Library_depends_on_no_finalizer() =>
        typeof(KvNamespace).Assembly.GetTypes()
            .Where(type => type.GetMethod("Finalize", BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.DeclaredOnly, []) is not null)
            .Should().BeEmpty();
}
