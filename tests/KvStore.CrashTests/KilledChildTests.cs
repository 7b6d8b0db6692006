using System.Diagnostics;
using System.Globalization;

namespace KvStore.CrashTests;

/// <summary>
/// A process that writes at full speed is killed at random moments, again and again, on the same directory. Each time every
/// acknowledged mutation must be there, and nothing that was never written. KVSTORE_CRASH_CYCLES says how often; a few
/// dozen by default.
/// </summary>
public sealed class KilledChildTests : IDisposable
{
    private const int Callers = 6;

    private static readonly int s_cycles =
        int.TryParse(Environment.GetEnvironmentVariable("KVSTORE_CRASH_CYCLES"), CultureInfo.InvariantCulture, out var cycles) ? cycles : 24;

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-killed-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Everything_acknowledged_survives_a_kill_and_nothing_else_appears()
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var states = Enumerable.Range(0, Callers).Select(_ => new SortedDictionary<string, string>(StringComparer.Ordinal)).ToArray();
        var next = Enumerable.Repeat(1, Callers).ToArray();
        for (var cycle = 0; cycle < s_cycles; cycle++)
        {
            var acknowledged = await RunAndKillAsync(seed, next, killAfter: random.Next(1, 2000));
            var recovered = await StateAsync(cycle);
            for (var caller = 0; caller < Callers; caller++)
            {
                for (; next[caller] <= acknowledged[caller]; next[caller]++)
                {
                    CrashScript.Apply(states[caller], CrashScript.Step(seed, caller, next[caller]));
                }

                var its = recovered.Where(entry => entry.Key.StartsWith($"{caller}/", StringComparison.Ordinal)).ToArray();
                var withInFlight = new SortedDictionary<string, string>(states[caller], StringComparer.Ordinal);
                CrashScript.Apply(withInFlight, CrashScript.Step(seed, caller, next[caller]));
                if (its.SequenceEqual(withInFlight))
                {
                    states[caller] = withInFlight;
                    next[caller]++;
                }
                else
                {
                    its.SequenceEqual(states[caller]).Should().BeTrue(
                        "caller {0} was told up to {1}, seed {2}, cycle {3}: expected {4}, found {5}",
                        caller, acknowledged[caller], seed, cycle, Text(states[caller]), Text(its));
                }
            }

            recovered.Should().HaveCount(states.Sum(state => state.Count), "nothing else was written, seed {0}, cycle {1}", seed, cycle);
        }

        Directory.GetFiles(_directory).Should().HaveCountLessThan(400, "what is not needed is removed");
    }

    // In turn by the namespace itself, and by the simplest reader of the files there is.
    private async Task<SortedDictionary<string, string>> StateAsync(int cycle)
    {
        var persistence = new FilePersistence(_directory);
        IDurableStore store = cycle % 2 == 0 ? await NamespaceHost.OpenAsync(persistence) : await DictionaryHost.OpenAsync(persistence);
        await using (store)
        {
            return store.State;
        }
    }

    private static string Text(IEnumerable<KeyValuePair<string, string>> state) =>
        string.Join(", ", state.Select(entry => $"{entry.Key}={entry.Value[..Math.Min(8, entry.Value.Length)]}#{entry.Value.Length}"));

    /// <returns>The last acknowledged number of each caller.</returns>
    private async Task<int[]> RunAndKillAsync(int seed, int[] next, int killAfter)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "KvStore.CrashChild.dll"));
        start.ArgumentList.Add(_directory);
        start.ArgumentList.Add(seed.ToString(CultureInfo.InvariantCulture));
        foreach (var number in next)
        {
            start.ArgumentList.Add(number.ToString(CultureInfo.InvariantCulture));
        }

        var acknowledged = next.Select(number => number - 1).ToArray();
        using var child = Process.Start(start)!;
        var errors = child.StandardError.ReadToEndAsync();
        var lines = 0;
        while (await child.StandardOutput.ReadLineAsync() is { } line)
        {
            // The last line may be cut off in the middle of a number, which then counts as not acknowledged.
            var parts = line.Split(' ');
            if (parts.Length == 2
                && int.TryParse(parts[0], CultureInfo.InvariantCulture, out var caller)
                && int.TryParse(parts[1], CultureInfo.InvariantCulture, out var number)
                && number == acknowledged[caller] + 1)
            {
                acknowledged[caller] = number;
            }

            if (++lines == killAfter)
            {
                // SIGKILL; what it had written to the pipe is still read.
                child.Kill();
            }
        }

        await child.WaitForExitAsync();
        lines.Should().BeGreaterThanOrEqualTo(killAfter, "it runs until it is killed, but it said: {0}", await errors);
        return acknowledged;
    }
}
