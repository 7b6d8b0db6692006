using System.Diagnostics;
using System.Globalization;

namespace KvStore.CrashTests;

/// <summary>A process that increments one counter from 16 tasks is killed at random moments.</summary>
public sealed class KilledCounterTests : IDisposable
{
    private const int Cycles = 5;
    private const int Tasks = 16;

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-killed-counter-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Counter_of_killed_processes_loses_no_acknowledged_increment()
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var before = 0L;
        for (var cycle = 0; cycle < Cycles; cycle++)
        {
            var acknowledged = await RunAndKillAsync(killAfter: random.Next(1, 60));

            await using var kv = await KvNamespace.OpenAsync("COUNTED", new KvNamespaceOptions { Persistence = new FilePersistence(_directory) });
            var now = long.Parse((await kv.GetTextAsync("n"))!, CultureInfo.InvariantCulture);
            var because = $"seed {seed}, cycle {cycle}";
            acknowledged.Should().OnlyHaveUniqueItems(because).And.OnlyContain(number => number > before && number <= now, because);
            (now - before).Should().BeInRange(acknowledged.Count, acknowledged.Count + Tasks, because);
            before = now;
        }
    }

    /// <returns>The numbers that were acknowledged.</returns>
    private async Task<List<long>> RunAndKillAsync(int killAfter)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "KvStore.CrashChild.dll"));
        start.ArgumentList.Add("count");
        start.ArgumentList.Add(_directory);
        using var child = Process.Start(start)!;
        var errors = child.StandardError.ReadToEndAsync();
        var text = new System.Text.StringBuilder();
        var buffer = new char[1024];
        var isKilled = false;
        while (await child.StandardOutput.ReadAsync(buffer) is var read and > 0)
        {
            text.Append(buffer, 0, read);
            if (!isKilled && buffer.AsSpan(0, read).Count('\n') is var lines && (killAfter -= lines) <= 0)
            {
                isKilled = true;
                child.Kill();
            }
        }

        await child.WaitForExitAsync();
        isKilled.Should().BeTrue("it runs until it is killed, but it said: {0}", await errors);

        // A line that was cut off was not acknowledged.
        var whole = text.ToString();
        return [.. whole[..(whole.LastIndexOf('\n') + 1)].Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => long.Parse(line, CultureInfo.InvariantCulture))];
    }
}
