using System.Diagnostics;
using System.Globalization;

namespace KvStore.CrashTests;

/// <summary>
/// A process whose heap has a hard limit, and in which another thread allocates up to that limit again and again.
/// KVSTORE_MEMORY_SECONDS says for how long; a few seconds by default.
/// </summary>
public sealed class ShortOfMemoryTests : IDisposable
{
    private const long LimitBytes = 128 * 1024 * 1024;
    private const int RuntimeAbortsMax = 4;

    private static readonly int s_seconds =
        int.TryParse(Environment.GetEnvironmentVariable("KVSTORE_MEMORY_SECONDS"), CultureInfo.InvariantCulture, out var seconds) ? seconds : 5;

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-memory-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Everything_acknowledged_stays_while_another_thread_takes_all_memory()
    {
        for (var round = 0; ; round++)
        {
            var seed = Environment.TickCount + round;
            var (exitCode, output, errors) = await RunAsync(seed);
            if (exitCode == 134 && errors.Trim() == "Out of memory." && round < RuntimeAbortsMax)
            {
                // The runtime itself had no memory, for example to start a thread or to compile a method: it prints this one line,
                // without a stack, and aborts. It says nothing about the library, whose exceptions have a stack.
                continue;
            }

            exitCode.Should().Be(0, "seed {0}, round {1}: {2}{3}", seed, round, output, errors);
            output.Should().MatchRegex("refused [1-9]", "memory must have been short");
            return;
        }
    }

    private async Task<(int ExitCode, string Output, string Errors)> RunAsync(int seed)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_GCHeapHardLimit"] = LimitBytes.ToString("x", CultureInfo.InvariantCulture);
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "KvStore.CrashChild.dll"));
        start.ArgumentList.Add("short-of-memory");
        start.ArgumentList.Add(Path.Combine(_directory, seed.ToString(CultureInfo.InvariantCulture)));
        start.ArgumentList.Add(seed.ToString(CultureInfo.InvariantCulture));
        start.ArgumentList.Add(s_seconds.ToString(CultureInfo.InvariantCulture));
        using var child = Process.Start(start)!;
        try
        {
            var output = child.StandardOutput.ReadToEndAsync();
            var errors = child.StandardError.ReadToEndAsync();
            await child.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(s_seconds + 400));
            return (child.ExitCode, await output, await errors);
        }
        finally
        {
            if (!child.HasExited)
            {
                child.Kill();
            }
        }
    }
}
