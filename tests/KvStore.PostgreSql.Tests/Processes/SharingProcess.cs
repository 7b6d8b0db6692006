using System.Diagnostics;
using System.Globalization;

namespace KvStore.PostgreSql.Tests.Processes;

/// <summary>A real process (<c>tests/KvStore.PostgreSqlChild</c>) that writes and reads the shared namespace until it is stopped or killed.</summary>
internal sealed class SharingProcess : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(120);

    private readonly Process _process;
    private readonly Task _reading;
    private readonly Task<string> _errors;
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile TaskCompletionSource<string> _state = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _isKilled;

    private SharingProcess(Process process, ProcessHistory history)
    {
        (_process, History) = (process, history);
        _errors = process.StandardError.ReadToEndAsync();
        _reading = ReadAsync();
    }

    public ProcessHistory History { get; }

    /// <summary>Starts a process.</summary>
    /// <param name="database">The connection string.</param>
    /// <param name="number">The number of the process. One that takes the place of a killed one has its number.</param>
    /// <param name="run">How many processes had the number before.</param>
    public static async Task<SharingProcess> StartAsync(string database, int number, int run = 0)
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "KvStore.PostgreSqlChild.dll"));
        start.ArgumentList.Add(database);
        start.ArgumentList.Add(number.ToString(CultureInfo.InvariantCulture));
        start.ArgumentList.Add(run.ToString(CultureInfo.InvariantCulture));
        var started = new SharingProcess(Process.Start(start)!, new ProcessHistory());
        await started.AnswerAsync(started._ready.Task);
        return started;
    }

    /// <summary>Waits until it has taken so many steps.</summary>
    public Task ProgressAsync(int steps) => WaitUntil.HoldsAsync(() => History.Steps >= steps || _process.HasExited, "the process goes on");

    /// <summary>SIGKILL. What it had written to the pipe is still read.</summary>
    public async Task KillAsync()
    {
        _isKilled = true;
        _process.Kill();
        await _process.WaitForExitAsync();
        await _reading;
    }

    /// <summary>Ends the writes.</summary>
    public async Task StopAsync()
    {
        await _process.StandardInput.WriteLineAsync("stop");
        await AnswerAsync(_stopped.Task);
    }

    /// <summary>A hash of all entries and their revisions.</summary>
    public async Task<string> StateAsync()
    {
        _state = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        await _process.StandardInput.WriteLineAsync("state");
        await AnswerAsync(_state.Task);
        return await _state.Task;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.StandardInput.Close();
            try
            {
                await _process.WaitForExitAsync().WaitAsync(s_patience);
            }
            catch (TimeoutException)
            {
                _process.Kill();
            }
        }

        await _reading;
        _process.Dispose();
    }

    private async Task AnswerAsync(Task answer)
    {
        if (await Task.WhenAny(answer, _reading, Task.Delay(s_patience)) != answer)
        {
            throw new InvalidOperationException($"The process did not answer; it said: {(_process.HasExited ? await _errors : "nothing")}");
        }
    }

    private async Task ReadAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line == "ready")
            {
                _ready.TrySetResult();
            }
            else if (line == "stopped")
            {
                _stopped.TrySetResult();
            }
            else if (line.StartsWith("state ", StringComparison.Ordinal))
            {
                _state.TrySetResult(line);
            }
            else
            {
                try
                {
                    History.Add(line);
                }
                catch (FormatException) when (_isKilled)
                {
                    // The last line of a killed process may be a part of one.
                }
            }
        }
    }
}
