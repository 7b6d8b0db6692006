namespace KvStore.RealPartsTests.Parts;

/// <summary>What must be in a directory on which one process after another was killed.</summary>
internal sealed class Survivors
{
    private Dictionary<string, long> _basis = new(StringComparer.Ordinal);
    private long _calls;
    private long _acknowledged;
    private int _copies;
    private int _halfCopies;

    /// <summary>The first number for the calls of the next process.</summary>
    public long NextId { get; private set; } = 1;

    /// <summary>Opens what a process left, and its copies, and checks them against what it had said.</summary>
    public async Task CheckAsync(Child child, string directory, string copies, string because)
    {
        var history = child.History;
        var violations = new List<string>(history.Violations);
        if (child.ExitCode != 137 && violations.Count == 0)
        {
            violations.Add($"it was not killed, it ended by itself with {child.ExitCode}: {child.Errors}");
        }

        foreach (var copy in Directory.Exists(copies) ? Directory.GetDirectories(copies) : [])
        {
            await CheckCopyAsync(history, copy, violations);
            Directory.Delete(copy, recursive: true);
        }

        var basis = _basis;
        try
        {
            await using var kv = await Workload.OpenAsync(directory);
            _basis = await NamespaceState.ReadAsync(kv, violations.Add, history.Calls.Select(call => call.Key).Distinct());
            violations.AddRange(HistoryCheck.Violations(basis, history.Calls, _basis));
        }
        catch (KvPersistenceException e)
        {
            violations.Add(e.ToString());
        }

        violations.Should().BeEmpty(because);
        _calls += history.Calls.Count;
        _acknowledged += history.Calls.Count(call => call.Outcome == Outcome.Acknowledged);
        NextId = Math.Max(NextId, history.NextId);
    }

    public override string ToString() =>
        $"{_calls:N0} calls, {_acknowledged:N0} acknowledged; {_copies} copies whole, {_halfCopies} half and refused";

    private async Task CheckCopyAsync(History history, string copy, List<string> violations)
    {
        var name = Path.GetFileName(copy);
        var began = history.Phases.First(phase => phase.Name == $"copying {name}").Moment;
        var end = history.Phases.FirstOrDefault(phase => phase.Name == $"copied {name}").Moment;
        if (end == 0 && Directory.GetFiles(copy).All(path => Path.GetFileName(path) == "manifest.tmp"))
        {
            // Nothing was copied yet, not even the manifest that will say that the copy is not whole.
            return;
        }

        var files = string.Join(", ", Directory.EnumerateFileSystemEntries(copy).Select(path => $"{Path.GetFileName(path)} ({new FileInfo(path).Length})").Order());
        try
        {
            await using var kv = await Workload.OpenAsync(copy);
            var state = await NamespaceState.ReadAsync(kv, violations.Add);
            violations.AddRange(HistoryCheck.Violations(_basis, history.Calls, state, began, end == 0 ? long.MaxValue : end)
                .Select(violation => $"in {(end == 0 ? $"a copy that was not finished, but opens, of {files}" : "a copy")}: {violation}"));
            _copies++;
        }
        catch (KvPersistenceException) when (end == 0)
        {
            // Half a copy, and it says so.
            _halfCopies++;
        }
        catch (KvPersistenceException e)
        {
            violations.Add($"a finished copy does not open: {e}");
        }
    }
}
