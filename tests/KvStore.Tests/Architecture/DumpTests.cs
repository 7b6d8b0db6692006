namespace KvStore.Tests.Architecture;
public sealed class DumpTests
{
    [Fact]
    public void Dump()
    {
        var graph = FileGraph.OfProject("KvStore");
        using var w = new StreamWriter("/tmp/rooms-graph.txt");
        foreach (var (f, t) in graph.Uses) w.WriteLine($"{f}\t{t}");
        using var c = new StreamWriter("/tmp/rooms-circles.txt");
        foreach (var circle in graph.Circles()) c.WriteLine(circle.Count + ": " + string.Join(" ", circle));
    }
}
