namespace KvStore.Tests.Architecture;

public sealed class HousekeepingTests
{
    private static readonly string[] s_drawers = ["Utils", "Util", "Helpers", "Helper", "Manager", "Common", "Services", "Misc"];

    [Fact]
    public void A_file_of_the_library_holds_one_idea_in_450_lines_at_the_most()
    {
        var long_ = SourceTree.LibraryFiles().Where(file => file.Value.Count(c => c == '\n') > 450).Select(file => file.Key);

        long_.Should().BeEmpty();
    }

    [Fact]
    public void No_file_or_folder_is_a_drawer()
    {
        var drawers =
            from file in SourceTree.LibraryFiles().Keys
            where file.Split('/', '.').Any(part => s_drawers.Any(drawer => part.EndsWith(drawer, StringComparison.Ordinal)))
            select file;

        drawers.Should().BeEmpty();
    }
}
