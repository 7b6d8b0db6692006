using System.Diagnostics;

namespace KvStore.RealPartsTests.Parts;

/// <summary>The program that runs a scenario, and the history that it writes.</summary>
internal sealed class Child(string scenario, params string[] arguments)
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(8);
    private readonly List<string> _notes = [];

    public Dictionary<string, string> Environment { get; } = new(StringComparer.Ordinal);

    public History History { get; } = new();

    /// <summary>What the child says of its own accord, for the output of a test.</summary>
    public IReadOnlyList<string> Notes => _notes;

    public string Errors { get; private set; } = "";

    public int ExitCode { get; private set; }

    /// <summary>Whether the child ended as it was meant to: by itself, with nothing to complain about.</summary>
    public void MustHaveDone()
    {
        History.Violations.Should().BeEmpty("that never happens, {0}", LongForm.Again);
        Notes.Should().Contain(note => note.StartsWith("done", StringComparison.Ordinal), "it comes to its end, {0}; exit code {1}, errors: {2}", LongForm.Again, ExitCode, Errors);
    }

    /// <summary>Runs it to its end.</summary>
    /// <param name="onLine">Called for each line after it was taken; true to kill the child. What it had written by then is still read.</param>
    public async Task<Child> RunAsync(Func<string, bool>? onLine = null)
    {
        var start = new ProcessStartInfo(System.Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "KvStore.RealPartsChild.dll"));
        start.ArgumentList.Add(scenario);
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in Environment)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        using var patience = new CancellationTokenSource();
        await using var end = patience.Token.Register(process.Kill);
        var isKilled = false;
        patience.CancelAfter(s_patience * Math.Max(1, LongForm.Factor));
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            History.Read(line);
            if (line.StartsWith("n ", StringComparison.Ordinal))
            {
                _notes.Add(line[2..]);
            }

            if (!isKilled && onLine?.Invoke(line) == true)
            {
                isKilled = true;
                process.Kill();
            }
        }

        await process.WaitForExitAsync();
        Errors = await errors;
        ExitCode = process.ExitCode;
        if (patience.IsCancellationRequested && !isKilled)
        {
            History.Violation($"it stood still; the last phase was {(History.Phases is [.., var last] ? last.Name : "none")}, errors: {Errors}");
        }

        return this;
    }
}
