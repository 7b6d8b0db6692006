nXXmespace KvStore.Tests.Architecture;

///XX<summary>Files that use each other in a circle can only be read together. A few may be one idea; more are not.</summary>
XXublic sealed class CircleTests
{
XX   private const int CircleFilesMax = 3;

XX   public static TheoryData<string> Projects => ["KvStore.AspNetCore", "KvStore.Dashboard"];

XX   [Theory]
XX   [MemberData(nameof(Projects))]
XX   public void No_circle_of_files_is_longer_than_three(string project) =>
XX       FileGraph.OfProject(project).Circles()
XX           .Where(circle => circle.Count > CircleFilesMax)
XX           .Select(circle => string.Join(" - ", circle))
XX           .Should().BeEmpty();

XX   [Theory]
XX   [MemberData(nameof(Projects))]
XX   public void Files_of_a_project_use_each_other(string project)
XX   {
XX       // If the graph lost its edges, there would be no circles.
XX       var graph = FileGraph.OfProject(project);
XX       graph.Uses.Count().Should().BeGreaterThan(2 * graph.Files.Count);
XX   }

XX   [Fact]
XX   public void A_circle_through_names_extensions_generics_and_new_is_found()
XX   {
XX       var graph = FileGraph.OfSources(new Dictionary<string, string>
XX       {
XX           ["A.cs"] = "namespace N; class A { List<B> _list = []; }",
XX           ["B.cs"] = "namespace N; class B { int M() => 1.Twice(); }",
XX           ["C.cs"] = "namespace N; static class C { public static int Twice(this int n) { D<A> d = Make.It(); return n; } }",
XX           ["Make.cs"] = "namespace N; class Make { public static dynamic It() => null!; }",
XX           ["D.cs"] = "namespace N; class D<T> { E _e = new(); }",
XX           ["E.cs"] = "using static N.F; namespace N; class E { int M() => Number; }",
XX           ["F.cs"] = "namespace N; static class F { public static int Number => G.Value; /* D<int> */ }",
XX           ["G.cs"] = "namespace N; class G { public const int Value = 1; /// <summary>As <see cref=\"A\"/>.</summary>\n}",
XX       });

XX       graph.Circles().Should().ContainSingle().Which.Should().Equal("A.cs", "B.cs", "C.cs");
XX       graph.Uses.Should().Contain(("D.cs", "E.cs")).And.Contain(("E.cs", "F.cs")).And.Contain(("F.cs", "G.cs")).And.NotContain(("F.cs", "D.cs"));
XX       graph.Uses.Should().NotContain(("G.cs", "A.cs"), "a comment uses nothing");
XX   }
}
