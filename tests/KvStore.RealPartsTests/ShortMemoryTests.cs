using System.Globalization;
using Xunit.Abstractions;

namespace KvStore.RealPartsTests;

/// <summary>Processes whose heap has a hard limit, which is reached.</summary>
public sealed class ShortMemoryTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("kvstore-memory-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task Memory_short_for_a_moment_loses_nothing_acknowledged()
    {
        var ended = 0;
        for (var round = 0; ended < LongForm.Times(1); round++)
        {
            round.Should().BeLessThan(5 + LongForm.Times(3), "a thread that ends the process each time, because it has no memory, is one of the namespace's own, {0}", LongForm.Again);
            var directory = Path.Combine(_root, round.ToString(CultureInfo.InvariantCulture));
            var child = await RunAsync(
                "short-memory", megabytes: 64, $"directory={directory}", $"steps={4000}", $"seed={LongForm.Seed + round}");

            // An OutOfMemoryException that nobody catches ends the process: the runtime prints this one line, without a stack, and
            // aborts (SIGABRT, 128 + 6). It may come from where no code of a program is: when the runtime starts a thread, compiles a
            // method, hands a continuation to the thread pool, or makes the exception itself. Then this was a kill, and nothing
            // is lost by it, which is checked below as after any other end. It must not come from code of the library.
            if (child.ExitCode == 134 && child.Errors.Trim() == "Out of memory.")
            {
                child.History.Violations.Should().BeEmpty(LongForm.Again);
                child.Notes.Where(note => note.StartsWith("died", StringComparison.Ordinal)).Should().NotContain(
                    note => IsOfTheLibrary(note), "a thread of the library survives, {0}", LongForm.Again);
            }
            else
            {
                child.MustHaveDone();
                ended++;
            }

            // Without a limit, and with the history that the child had no memory for.
            var violations = new List<string>();
            await using var kv = await Workload.OpenAsync(directory);
            var state = await NamespaceState.ReadAsync(kv, violations.Add, child.History.Calls.Select(call => call.Key).Distinct());
            violations.AddRange(HistoryCheck.Violations(new Dictionary<string, long>(), child.History.Calls, state));
            violations.Should().BeEmpty(LongForm.Again);
            child.History.Calls.Should().Contain(call => call.Outcome != Outcome.Acknowledged, "memory was short");
        }
    }

    [Fact]
    public async Task Memory_of_what_was_deleted_comes_back_after_it_had_run_out()
    {
        var child = await RunAsync("memory-comes-back", megabytes: 64, $"directory={Path.Combine(_root, "kv")}");

        child.MustHaveDone();
    }

    // A thread that is named by the library, or whose stack has code of the library and none of the program that uses it.
    private static bool IsOfTheLibrary(string note) =>
        note.StartsWith("died: KvStore", StringComparison.Ordinal)
        || (note.Contains("at KvStore.", StringComparison.Ordinal) && !note.Contains("at KvStore.RealPartsChild.", StringComparison.Ordinal));

    private async Task<Child> RunAsync(string scenario, int megabytes, params string[] arguments)
    {
        var child = new Child(scenario, arguments);
        child.Environment["DOTNET_GCHeapHardLimit"] = (megabytes * 1024L * 1024L).ToString("X", CultureInfo.InvariantCulture);
        child.Environment["DOTNET_gcServer"] = "0";
        await child.RunAsync();
        foreach (var note in child.Notes)
        {
            output.WriteLine(note);
        }

        foreach (var group in child.History.Calls.GroupBy(call => call.Outcome))
        {
            output.WriteLine($"{group.Key}: {group.Count():N0}");
        }

        return child;
    }
}
