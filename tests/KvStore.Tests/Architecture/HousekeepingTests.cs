using System.Reflection;

namespace KvStore.Tests.Architecture;

public sealed class HousekeepingTests
{
    [Fact]
    public void File_of_the_library_has_at_most_450_lines_and_a_name_that_says_what_it_holds() =>
        SourceTree.UntidyFilesOf(SourceTree.Library).Should().BeEmpty();

    [Fact]
    public void File_that_is_too_long_or_has_a_meaningless_name_is_found()
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
