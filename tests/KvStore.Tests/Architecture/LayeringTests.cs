using KvStore.Regions;

namespace KvStore.Tests.Architecture;

/// <summary>The folders of the library are floors, and so are those of the package that puts it on the network.</summary>
public sealed class LayeringTests
{
    private static readonly Layering s_library = new(
        SourceTree.Library,
        [
            ["Hosting"],
            ["KvNamespace.cs"],
            ["Writes", "Reads", "Regions"],
            ["Replication"],
            ["Memory", "Persistence.Log"],
            ["Order"],
            ["Index"],
            ["Segments"],
            ["Rules", "Values", "Persistence.Storage"],
            ["Keys", "Expiry", "Json"],
            ["Records"],
            ["", "Bulk", "Diagnostics", "Persistence", "Typed", "Wrangler"],
        ],
        static file => file switch
        {
            // One class, in a file for each part of its life.
            "KvNamespace.cs" or "KvNamespace.Checks.cs" or "KvNamespace.Decoded.cs" or "KvNamespace.Find.cs" or "KvNamespace.FindMany.cs"
                or "KvNamespace.Lifetime.cs" or "KvNamespace.Observed.cs" or "KvNamespace.Peek.cs" or "KvNamespace.Regions.cs" => "KvNamespace.cs",
            // The same door, with the view of a region behind it.
            "Regions/KvRegion.cs" => "KvNamespace.cs",
            _ => null,
        },
        static (file, named) =>
            (file == "KvBulk.cs" && named == "Bulk")
            || (file == "KvReplication.cs" && named == "Replication")
            || (file == "KvDiagnostics.cs" && named == "Diagnostics")
            || (file == "FilePersistence.cs" && named is ("Persistence.Log" or "Persistence.Storage")));

    private static readonly Layering s_aspNetCore = new(
        SourceTree.AspNetCore,
        [
            ["Hosting"],
            ["Rest", "Binding", "Dashboard"],
            ["Requests"],
            ["Access", "Catalog", "Transport"],
            [""],
        ],
        // A page may have folders of its own.
        static file => file.StartsWith("Dashboard/", StringComparison.Ordinal) ? "Dashboard" : null,
        static (file, named) => file == "KvNamespaceCatalog.cs" && named == "Catalog");

    [Fact]
    public void No_file_names_a_folder_above_or_beside_its_own()
    {
        s_library.Climbs().Should().BeEmpty();
        s_aspNetCore.Climbs().Should().BeEmpty();
    }

    [Fact]
    public void Every_folder_has_a_floor()
    {
        s_library.WithoutFloor().Should().BeEmpty();
        s_aspNetCore.WithoutFloor().Should().BeEmpty();
    }

    [Fact]
    public void The_namespace_of_a_file_is_its_folder()
    {
        s_library.Strays("Microsoft.Extensions.DependencyInjection").Should().BeEmpty();
        s_aspNetCore.Strays("Microsoft.AspNetCore.Builder", "Microsoft.AspNetCore.Hosting", "Microsoft.Extensions.DependencyInjection").Should().BeEmpty();
    }

    [Fact]
    public void The_test_sees_the_folders_that_the_doors_name()
    {
        // If the patterns stopped matching, nothing above could fail.
        s_library.FoldersNamedBy("KvNamespace.cs").Should().Contain(["Writes", "Memory", "Expiry", "Keys", "Values"]);
        s_aspNetCore.FoldersNamedBy("Rest/ApiEndpoint.cs").Should().Contain(["Access", "Requests", "Transport"]);
    }
}
