using System.Diagnostics;
using System.Globalization;
using static System.FormattableString;

namespace KvStore.CrashTests;

/// <summary>Processes that write more than their budget for memory holds: what they really hold, and what a killed one leaves.</summary>
public sealed class EvictingProcessTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-evicting-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    // The heap is limited to twice the budget, so the process ends when more is alive, or when the garbage does not go.
    [Theory]
    [InlineData(32, false)]
    [InlineData(32, true)]
    public async Task Process_holds_its_budget_and_two_segments_a_writer_at_most(int budgetMiB, bool isPersistent)
    {
        const int Writers = 2;
        var budget = (long)budgetMiB << 20;
        using var child = Start(
            limit: (2 * budget) + (16 << 20),
            isPersistent
                ? ["evict", Invariant($"{budget}"), Invariant($"{Writers}"), _directory]
                : ["evict", Invariant($"{budget}"), Invariant($"{Writers}")]);
        var errors = child.StandardError.ReadToEndAsync();
        var output = await child.StandardOutput.ReadToEndAsync();
        await child.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(300));

        child.ExitCode.Should().Be(0, await errors);
        var held = long.Parse(output.Split(' ', ',')[1], CultureInfo.InvariantCulture);

        // What the process needs besides; a log has buffers.
        var besides = isPersistent ? 16L << 20 : 4L << 20;
        held.Should().BeLessThan(budget + (2 * Writers * budget / 64) + besides, output);
        held.Should().BeGreaterThan(budget / 2, output);
    }

    [Fact]
    public async Task Killed_process_keeps_what_is_read_and_what_it_evicted_stays_away()
    {
        var hot = new Dictionary<int, int>();
        var gone = new HashSet<string>();
        var next = 1;
        for (var round = 0; round < 3; round++)
        {
            var lines = await RunAndKillAsync(next, lines: 2000 + (round * 500));
            foreach (var words in lines.Select(line => line.Split(' ')))
            {
                if (words[0] == "hot")
                {
                    hot[int.Parse(words[1], CultureInfo.InvariantCulture)] = int.Parse(words[2], CultureInfo.InvariantCulture);
                    next = int.Parse(words[2], CultureInfo.InvariantCulture) + 1;
                }
                else
                {
                    gone.Add($"cold {words[1]} {words[2]}");
                }
            }

            // A batch that was not acknowledged may be there.
            next++;
            await using var kv = await KvNamespace.OpenAsync(
                "CACHE", new KvNamespaceOptions { Persistence = new FilePersistence(_directory) });
            foreach (var (key, number) in hot)
            {
                var value = await kv.GetBytesAsync(Invariant($"hot {key}"));
                value.Should().NotBeNull("hot {0} was acknowledged with {1}, and read all the time", key, number);
                BitConverter.ToInt32(value!.Value.Span).Should().BeGreaterThanOrEqualTo(number);
            }

            foreach (var key in gone)
            {
                kv.TryGet(key, out _).Should().BeFalse("{0} was evicted, and that was flushed", key);
            }
        }

        gone.Count.Should().BeGreaterThan(1000);
    }

    private async Task<List<string>> RunAndKillAsync(int first, int lines)
    {
        using var child = Start(limit: null, "evict-until-killed", _directory, Invariant($"{first}"));
        var read = new List<string>();
        try
        {
            while (read.Count < lines && await child.StandardOutput.ReadLineAsync() is { } line)
            {
                read.Add(line);
            }
        }
        finally
        {
            child.Kill();
            await child.WaitForExitAsync();
        }

        // What it wrote before it was killed counts as well; a last line may be cut off.
        var rest = (await child.StandardOutput.ReadToEndAsync()).Split('\n')[..^1];
        read.AddRange(rest);
        read.Count.Should().BeGreaterThanOrEqualTo(lines, await child.StandardError.ReadToEndAsync());
        return read;
    }

    private static Process Start(long? limit, params string[] arguments)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (limit is { } bytes)
        {
            start.Environment["DOTNET_GCHeapHardLimit"] = bytes.ToString("x", CultureInfo.InvariantCulture);
        }

        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "KvStore.CrashChild.dll"));
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start)!;
    }
}
