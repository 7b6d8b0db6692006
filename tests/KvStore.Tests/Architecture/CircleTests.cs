namespace KvStore.Tests.Architecture;

/// <summary>Files that use each other in a circle can only be read together. Up to three may be one idea.</summary>
public sealed class CircleTests
{
    private const int CircleFilesMax = 3;

    public static TheoryData<string> Projects => ["KvStore", "KvStore.AspNetCore", "KvStore.Caching", "KvStore.Dashboard", "KvStore.FeatureManagement", "KvStore.Generators"];

    [Theory]
    [MemberData(nameof(Projects))]
    public void No_circle_of_files_is_longer_than_three(string project) =>
        FileGraph.OfProject(project).Circles()
            .Where(circle => circle.Count > CircleFilesMax)
            .Select(circle => string.Join(" - ", circle))
            .Should().BeEmpty();

    [Theory]
    [MemberData(nameof(Projects))]
    public void Files_of_a_project_use_each_other(string project)
    {
        // Without uses the graph could have no circles. A small package has few.
        var graph = FileGraph.OfProject(project);
        graph.Uses.Count().Should().BeGreaterThan(graph.Files.Count switch { < 20 => 0, < 50 => graph.Files.Count, _ => 2 * graph.Files.Count });
    }

    [Fact]
    public void Circle_through_names_extensions_generics_and_new_is_found()
    {
        var graph = FileGraph.OfSources(new Dictionary<string, string>
        {
            ["A.cs"] = "namespace N; class A { List<B> _list = []; }",
            ["B.cs"] = "namespace N; class B { int M() => 1.Twice(); }",
            ["C.cs"] = "namespace N; static class C { public static int Twice(this int n) { A a = null!; D<A> d = new(); return n; } }",
            ["D.cs"] = "namespace N; class D<T> { E _e = new(); }",
            ["E.cs"] = "using static N.F; namespace N; class E { int M() => Number; }",
            ["F.cs"] = "namespace N; static class F { public static int Number => G.Value; /* D<int> */ }",
            ["G.cs"] = "namespace N; class G { public const int Value = 1; /// <summary>As <see cref=\"A\"/>.</summary>\n}",
        });

        graph.Circles().Should().ContainSingle().Which.Should().Equal("A.cs", "B.cs", "C.cs");
        graph.Uses.Should().Contain([("C.cs", "D.cs"), ("D.cs", "E.cs"), ("E.cs", "F.cs"), ("F.cs", "G.cs")]);
        graph.Uses.Should().NotContain(("F.cs", "D.cs"), "a comment uses nothing");
        graph.Uses.Should().NotContain(("G.cs", "A.cs"), "a comment uses nothing");
    }
}
