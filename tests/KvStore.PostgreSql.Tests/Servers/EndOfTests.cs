using System.Diagnostics;

namespace KvStore.PostgreSql.Tests.Servers;

/// <summary>
/// Stops what the tests share when their process ends, however it ends. A process of its own does, because the runner does not wait
/// until everything is stopped, and a killed one cannot stop anything.
/// </summary>
internal static class EndOfTests
{
    // Reading ends when the pipe is closed: with the process of the tests. A terminal interrupts both.
    private const string Script = """
        trap '' INT HUP TERM
        read -r line
        pid=$(head -n 1 "$2") && kill -s "$3" "$pid" && while kill -0 "$pid"; do sleep 0.1; done
        rm -rf "$1"
        """;

    // Not collected, which would close the pipes.
    private static readonly List<Process> s_waiting = [];

    /// <summary>Stops a program, and then removes its directory.</summary>
    /// <param name="directory">The directory.</param>
    /// <param name="processFile">The file whose first line is the number of the process.</param>
    /// <param name="signal">The signal that makes it end at once.</param>
    public static void Stop(string directory, string processFile, string signal)
    {
        var start = new ProcessStartInfo("/bin/sh", ["-c", $"exec 2>/dev/null >&2; {Script}", "sh", directory, processFile, signal])
        {
            WorkingDirectory = "/",
            RedirectStandardInput = true,
        };
        lock (s_waiting)
        {
            s_waiting.Add(Process.Start(start)!);
        }
    }
}
