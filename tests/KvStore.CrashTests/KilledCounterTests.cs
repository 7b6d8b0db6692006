using System.Diagnostics;
using System.Globalization;

namespace KvStore.CrashTests;

/// <summary>A process in which 16 tasks increment a counter is killed again and again: no acknowledged increment is lost, and none is made twice.</summary>
public sealed class KilledCounterTests : IDisposable
{
    private const int Cycles = 10;
    private const int Tasks = 16;

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-counter-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Counter_incremented_by_a_killed_process_loses_no_acknowledged_increment()
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var acknowledged = new HashSet<int>();
        var highest = 0;
        for (var cycle = 0; cycle < Cycles; cycle++)
        {
            foreach (var number in await RunAndKillAsync(killAfter: random.Next(1, 600)))
            {
                acknowledged.Add(number).Should().BeTrue("the number {0} is made once, seed {1}, cycle {2}", number, seed, cycle);
                highest = Math.Max(highest, number);
            }

            var kv = await KvNamespace.OpenAsync("COUNTER", new KvNamespaceOptions { Persistence = new FilePersistence(_directory) });
            await using (kv)
            {
                int.Parse((await kv.GetTextAsync("n"))!, CultureInfo.InvariantCulture).Should().BeInRange(
                    highest, highest + Tasks, "so many were acknowledged, and one of each task may have been on its way, seed {0}, cycle {1}", seed, cycle);
            }
        }
    }

    private async Task<List<int>> RunAndKillAsync(int killAfter)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "KvStore.CrashChild.dll"));
        start.ArgumentList.Add("increment");
        start.ArgumentList.Add(_directory);
        using var child = Process.Start(start)!;
        var errors = child.StandardError.ReadToEndAsync();
        var numbers = new List<int>();
        var text = new System.Text.StringBuilder();
        var buffer = new char[1024];
        while (await child.StandardOutput.ReadAsync(buffer) is var read and > 0)
        {
            foreach (var c in buffer.AsSpan(0, read))
            {
                // A line without its end was not told.
                if (c != '\n')
                {
                    text.Append(c);
                    continue;
                }

                numbers.Add(int.Parse(text.ToString(), CultureInfo.InvariantCulture));
                text.Clear();
                if (numbers.Count == killAfter)
                {
                    child.Kill();
                }
            }
        }

        await child.WaitForExitAsync();
        numbers.Count.Should().BeGreaterThanOrEqualTo(killAfter, "it runs until it is killed, but it said: {0}", await errors);
        return numbers;
    }
}
