using System.Reflection;

namespace KvStore.Tests.Architecture;

public sealed class HousekeepingTests
{
    [Fact]
    public void File_of_the_library_holds_at_most_450_lines_and_is_no_drawer() =>
        SourceTree.UntidyFilesOf(SourceTree.Library).Should().BeEmpty();

    [Fact]
    public void A_file_that_is_too_long_and_a_drawer_are_seen()
    {
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "Long.cs"), string.Concat(Enumerable.Repeat("//\n", 451)));
            File.WriteAllText(Path.Combine(folder.FullName, "Short.cs"), string.Concat(Enumerable.Repeat("//\n", 450)));
            File.WriteAllText(Path.Combine(folder.FullName, "KeyHelpers.cs"), "");
            SourceTree.UntidyFilesOf(folder.FullName).Should().BeEquivalentTo("Long.cs", "KeyHelpers.cs");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void Library_depends_on_no_finalizer() =>
        typeof(KvNamespace).Assembly.GetTypes()
            .Where(type => type.GetMethod("Finalize", BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.DeclaredOnly, []) is not null)
            .Should().BeEmpty();
}
