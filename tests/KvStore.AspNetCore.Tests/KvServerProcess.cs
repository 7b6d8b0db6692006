using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;

namespace KvStore.AspNetCore.Tests;

/// <summary>KvServer as a process of its own, on free ports, with its data below a directory.</summary>
internal sealed partial class KvServerProcess(Process process, string printed) : IDisposable
{
    private readonly StringBuilder _later = new();

    public string Printed => printed;

    /// <summary>What it has printed since it listens.</summary>
    public string Later
    {
        get
        {
            lock (_later)
            {
                return _later.ToString();
            }
        }
    }

    public string Url { get; } = ListensOn().Match(printed).Groups[1].Value;

    public string BindingUrl { get; } = BindingOn().Match(printed).Groups[1].Value;

    public static async Task<KvServerProcess> StartAsync(string directory, string? token = null, string? secret = null, params string[] more)
    {
        var process = Process.Start(Command(directory, ["--urls", "http://127.0.0.1:0", "--binding-url", "http://127.0.0.1:0", .. more], token, secret))!;
        var printed = "";
        while (!printed.Contains("Without KVSTORE_BINDING_SECRET", StringComparison.Ordinal))
        {
            printed += await process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException($"The server ended:\n{printed}");
            printed += "\n";
        }

        var server = new KvServerProcess(process, printed);

        // It must not come to wait for its output to be read.
        _ = server.KeepReadingAsync();
        return server;
    }

    /// <summary>Starts a server that must not start.</summary>
    /// <returns>How it ended, and what it said of that.</returns>
    public static async Task<(int Code, string Printed, string Error)> FailAsync(
        string directory, string[] arguments, string? token = null, string? secret = null, (string Name, string Value)? environment = null)
    {
        var start = Command(directory, arguments, token, secret);
        if (environment is { } variable)
        {
            Set(start, variable.Name, variable.Value);
        }

        start.RedirectStandardError = true;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var printed = process.StandardOutput.ReadToEndAsync();
        try
        {
            await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(2));
        }
        catch (TimeoutException)
        {
            process.Kill();
            throw;
        }

        return (process.ExitCode, await printed, await error);
    }

    private static ProcessStartInfo Command(string directory, string[] arguments, string? token, string? secret)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "KvServer.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            WorkingDirectory = directory,
        };
        Set(start, "KVSTORE_TOKEN", token);
        Set(start, "KVSTORE_BINDING_SECRET", secret);
        return start;
    }

    private async Task KeepReadingAsync()
    {
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            lock (_later)
            {
                _later.Append(line).Append('\n');
            }
        }
    }

    public void Dispose()
    {
        process.Kill();
        process.WaitForExit();
        process.Dispose();
    }

    private static void Set(ProcessStartInfo start, string name, string? value)
    {
        start.Environment.Remove(name);
        if (value is not null)
        {
            start.Environment[name] = value;
        }
    }

    [GeneratedRegex("KvServer listens on (.+)")]
    private static partial Regex ListensOn();

    [GeneratedRegex("workerd, on (.+);")]
    private static partial Regex BindingOn();
}
