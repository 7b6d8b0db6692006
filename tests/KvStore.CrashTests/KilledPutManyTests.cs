using System.Diagnostics;
using System.Globalization;

namespace KvStore.CrashTests;

/// <summary>
/// A process that puts many entries with one call, again and again, is killed at random moments. A round that was acknowledged is
/// there, and of the one that was not, the entries from the first one up to some entry, and no later one.
/// </summary>
public sealed class KilledPutManyTests : IDisposable
{
    private const int Cycles = 8;

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-killed-many-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Put_many_that_is_killed_leaves_its_first_entries_and_no_later_ones()
    {
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var next = 1;
        for (var cycle = 0; cycle < Cycles; cycle++)
        {
            var acknowledged = await RunAndKillAsync(next, killAfter: random.Next(1, 30));
            var rounds = await RoundsAsync();
            var because = $"round {acknowledged} was acknowledged, seed {seed}, cycle {cycle}";
            if (acknowledged > 0)
            {
                rounds.Should().HaveCount(PutManyScript.Keys, because);
            }

            var begun = rounds.TakeWhile(round => round == acknowledged + 1).Count();
            rounds.Skip(begun).All(round => round == acknowledged).Should().BeTrue(because);
            next = acknowledged + 2;

            // So that the next cycle begins with a round that is whole.
            await using var host = await NamespaceHost.OpenAsync(new FilePersistence(_directory));
            await host.Namespace.PutManyAsync(PutManyScript.Round(acknowledged + 1));
        }
    }

    private async Task<int[]> RoundsAsync()
    {
        await using var host = await NamespaceHost.OpenAsync(new FilePersistence(_directory));
        return [.. host.State.Select(entry => int.Parse(entry.Value.Split(' ')[0], CultureInfo.InvariantCulture))];
    }

    /// <returns>The last round that was acknowledged.</returns>
    private async Task<int> RunAndKillAsync(int first, int killAfter)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "KvStore.CrashChild.dll"));
        start.ArgumentList.Add("put-many");
        start.ArgumentList.Add(_directory);
        start.ArgumentList.Add(first.ToString(CultureInfo.InvariantCulture));
        using var child = Process.Start(start)!;
        var errors = child.StandardError.ReadToEndAsync();
        var acknowledged = first - 1;
        var lines = 0;
        while (await child.StandardOutput.ReadLineAsync() is { } line)
        {
            // The last line may be cut off in the middle of a number; then it was not acknowledged.
            if (int.TryParse(line, CultureInfo.InvariantCulture, out var round) && round == acknowledged + 1)
            {
                acknowledged = round;
            }

            if (++lines == killAfter)
            {
                child.Kill();
            }
        }

        await child.WaitForExitAsync();
        lines.Should().BeGreaterThanOrEqualTo(killAfter, "it runs until it is killed, but it said: {0}", await errors);
        return acknowledged;
    }
}
