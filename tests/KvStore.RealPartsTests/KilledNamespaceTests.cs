using Xunit.Abstractions;

namespace KvStore.RealPartsTests;

/// <summary>
/// A process that opens a namespace, writes with several callers on the same keys, large values and streams among it, compacts,
/// copies and closes, is killed in each of these phases, again and again on the same directory. What was acknowledged is
/// there each time, nothing else is, and every copy that was finished is a state that there was.
/// </summary>
public sealed class KilledNamespaceTests(ITestOutputHelper output) : IDisposable
{
    private static readonly string[] s_phases = ["opening", "open", "compacting", "copying", "disposing"];

    private readonly string _root = Directory.CreateTempSubdirectory("kvstore-killed-").FullName;

    private string KvDirectory => Path.Combine(_root, "kv");

    private string Copies => Path.Combine(_root, "copies");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task Kill_in_any_phase_loses_nothing_acknowledged_and_leaves_no_false_copy()
    {
        var random = new Random(LongForm.Seed);
        var cycles = LongForm.Times(25);
        var survivors = new Survivors();
        for (var cycle = 0; cycle < cycles; cycle++)
        {
            var phase = s_phases[cycle % s_phases.Length];
            var entries = random.Next(1, 3);
            var lines = random.Next(phase == "open" ? 400 : 12);
            var child = new Child(
                "killed", $"directory={KvDirectory}", $"copies={Copies}", $"seed={random.Next()}", $"first={survivors.NextId}");
            await child.RunAsync(line =>
            {
                // In the phase, and then a random number of events later; the pipe and the signal take their own time as well.
                entries -= line.StartsWith($"p {phase}", StringComparison.Ordinal) ? 1 : 0;
                return entries <= 0 && lines-- <= 0;
            });
            await survivors.CheckAsync(child, KvDirectory, Copies, $"cycle {cycle}, killed while {phase}, {LongForm.Again}");
        }

        output.WriteLine($"{cycles} kills; {survivors}");
    }

    [RealPartTheory(RealPart.CCompiler)]
    [InlineData("opening", "Kill")]
    [InlineData("opening", "KillHalfDone")]
    [InlineData("open", "KillHalfDone")]
    [InlineData("compacting", "Kill")]
    [InlineData("compacting", "KillHalfDone")]
    [InlineData("copying", "Kill")]
    [InlineData("copying", "KillHalfDone")]
    [InlineData("disposing", "Kill")]
    [InlineData("disposing", "KillHalfDone")]
    public async Task Kill_at_any_system_call_of_a_phase_loses_nothing_acknowledged(string phase, string action)
    {
        var library = FailingCalls.Library;
        var random = new Random(LongForm.Seed);
        var survivors = new Survivors();
        var kills = LongForm.Times(6);
        for (var i = 0; i < kills; i++)
        {
            // Dense where a phase begins, then ever wider apart.
            var call = 1 + (i * (i + 3) / 2) + random.Next(i + 1);
            var child = new Child(
                "killed",
                $"directory={KvDirectory}",
                $"copies={Copies}",
                $"seed={random.Next()}",
                $"first={survivors.NextId}",
                $"below={_root}",
                $"phase={phase}",
                $"call={call}",
                $"action={action}");
            child.Environment["LD_PRELOAD"] = library;
            await child.RunAsync();
            await survivors.CheckAsync(child, KvDirectory, Copies, $"killed at call {call} while {phase}, {LongForm.Again}");
        }

        output.WriteLine($"{kills} kills; {survivors}");
    }
}
