using System.Diagnostics;
using System.Text.RegularExpressions;

namespace KvStore.AspNetCore.Tests;

/// <summary>KvServer as a process of its own, on free ports, with its data below a directory.</summary>
internal sealed partial class KvServerProcess(Process process, string printed) : IDisposable
{
    public string Printed => printed;

    public string Url { get; } = ListensOn().Match(printed).Groups[1].Value;

    public string BindingUrl { get; } = BindingOn().Match(printed).Groups[1].Value;

    public static async Task<KvServerProcess> StartAsync(string directory, string? token = null, string? secret = null)
    {
        var start = new ProcessStartInfo(
            "dotnet",
            [Path.Combine(AppContext.BaseDirectory, "KvServer.dll"), "--urls", "http://127.0.0.1:0", "--binding-url", "http://127.0.0.1:0"])
        {
            RedirectStandardOutput = true,
            WorkingDirectory = directory,
        };
        Set(start, "KVSTORE_TOKEN", token);
        Set(start, "KVSTORE_BINDING_SECRET", secret);
        var process = Process.Start(start)!;
        var printed = "";
        while (!printed.Contains("Without KVSTORE_BINDING_SECRET", StringComparison.Ordinal))
        {
            printed += await process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException($"The server ended:\n{printed}");
            printed += "\n";
        }

        // It must not come to wait for its output to be read.
        _ = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
        return new KvServerProcess(process, printed);
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
