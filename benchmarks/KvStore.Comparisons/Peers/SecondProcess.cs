using System.Diagnostics;
using System.Globalization;

namespace KvStore.Comparisons.Peers;

/// <summary>
/// This program once more, in a process of its own, that answers in lines: see <see cref="Compare.SecondProcessCommand"/>. It ends with this
/// object, and with the process that has started it.
/// </summary>
internal sealed class SecondProcess : IDisposable
{
    private readonly Process _process;

    private SecondProcess(Process process) => _process = process;

    /// <summary>Starts a process, and waits until it is ready.</summary>
    public static SecondProcess Start(params string[] arguments)
    {
        var second = new SecondProcess(Process.Start(new ProcessStartInfo(
            Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
            [typeof(SecondProcess).Assembly.Location, Compare.SecondProcessCommand.Name, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!);
        if (second.ReadLine() is var line && line != Compare.SecondProcessCommand.Ready)
        {
            throw new InvalidOperationException($"The second process said \"{line}\" and not that it is ready.");
        }

        return second;
    }

    /// <summary>Writes a line to it.</summary>
    public void WriteLine(string line) => _process.StandardInput.WriteLine(line);

    /// <summary>Reads a number that it has answered.</summary>
    public double ReadNumber() => double.Parse(ReadLine(), CultureInfo.InvariantCulture);

    /// <summary>Reads a number that it has answered: a timestamp of <see cref="Stopwatch"/>, whose clock all processes of a machine share.</summary>
    public long ReadTimestamp() => long.Parse(ReadLine(), CultureInfo.InvariantCulture);

    public void Dispose()
    {
        // It ends at the end of its input.
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }

    private string ReadLine() => _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException("The second process has ended.");
}
