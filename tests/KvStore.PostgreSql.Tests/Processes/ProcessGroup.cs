using System.Diagnostics;
using System.Globalization;
using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.PostgreSql.Tests.Processes;

/// <summary>Several real processes that share a namespace, and what must hold of everything that they did.</summary>
internal sealed class ProcessGroup : IAsyncDisposable
{
    private readonly string _database;
    private readonly SharingProcess[] _running;
    private readonly int[] _runs;
    private readonly List<ProcessHistory> _histories = [];

    private ProcessGroup(string database, int count)
    {
        _database = database;
        (_running, _runs) = (new SharingProcess[count], new int[count]);
    }

    /// <summary>Starts processes with an empty database.</summary>
    public static async Task<ProcessGroup> StartAsync(string database, int count)
    {
        var group = new ProcessGroup(database, count);
        await Task.WhenAll(Enumerable.Range(0, count).Select(group.StartAsync));
        return group;
    }

    /// <summary>Waits until every process has taken so many more steps.</summary>
    public async Task ProgressAsync(int steps)
    {
        foreach (var (process, before) in _running.Select(static process => (process, process.History.Steps)).ToList())
        {
            await process.ProgressAsync(before + steps);
        }
    }

    /// <summary>Kills a process and starts another one in its place.</summary>
    public async Task ReplaceAsync(int number)
    {
        await _running[number].KillAsync();
        await _running[number].DisposeAsync();
        await StartAsync(number);
    }

    /// <summary>Ends the writes, waits until all processes have the entries of the database, and checks everything that they did.</summary>
    public async Task<ProcessGroup> ShouldHaveSharedAsync()
    {
        await Task.WhenAll(_running.Select(static process => process.StopAsync()));
        await using var kv = await KvPostgreSql.OpenAsync("SHARED", _database);
        await ShouldConvergeAsync();
        var entries = new Dictionary<string, KvValue>(StringComparer.Ordinal);
        await foreach (var entry in kv.ScanAsync())
        {
            entries.Add(entry.Key, entry.Value);
        }

        _histories.SelectMany(static history => history.Violations).Should().BeEmpty();
        CheckReplacements(entries);
        CheckCounters(entries);
        CheckPuts(entries);
        CheckLocks();
        return this;
    }

    /// <summary>How long it took from the commit in one process to the visibility in the others, as text.</summary>
    public string Staleness()
    {
        var committed = _histories.SelectMany(static (history, number) => history.Marked.Select(mark => (mark.Key, mark.Value, number)))
            .ToDictionary(static mark => mark.Key, static mark => (At: mark.Value, Process: mark.number));
        var delays = (
            from history in _histories.Select(static (history, number) => (history.Seen, Process: number))
            from seen in history.Seen
            where committed.TryGetValue(seen.Revision, out var mark) && mark.Process != history.Process
            let delay = Stopwatch.GetElapsedTime(committed[seen.Revision].At, seen.At).TotalMilliseconds
            orderby delay
            select delay).ToArray();
        delays.Should().NotBeEmpty("the processes see the marks of the others");
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{delays.Length} marks of other processes: visible after {delays[delays.Length / 2]:0.0} ms (median), {delays[delays.Length * 99 / 100]:0.0} ms (99 %), {delays[^1]:0.0} ms (most)");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _running)
        {
            if (process is not null)
            {
                await process.DisposeAsync();
            }
        }
    }

    private async Task StartAsync(int number)
    {
        var process = await SharingProcess.StartAsync(_database, number, _runs[number]++);
        _running[number] = process;
        lock (_histories)
        {
            _histories.Add(process.History);
        }
    }

    private async Task ShouldConvergeAsync()
    {
        var began = Stopwatch.GetTimestamp();
        while (true)
        {
            var states = await Task.WhenAll(_running.Select(static process => process.StateAsync()));
            if (states.Distinct(StringComparer.Ordinal).Count() == 1 && states[0] == await StateOfDatabaseAsync())
            {
                return;
            }

            Stopwatch.GetElapsedTime(began).Should().BeLessThan(TimeSpan.FromSeconds(60), "the processes converge, but have {0}", string.Join(", ", states));
            await Task.Delay(20);
        }
    }

    // As the processes say it, from the tables.
    private async Task<string> StateOfDatabaseAsync() => (string)(await PostgreSqlServer.ExecuteAsync(
        $"{_database};Pooling=false",
        """
        SELECT 'state ' || count(*) || ' ' || upper(encode(sha256(coalesce(string_agg(
            key || convert_to(' ' || revision || ' ', 'UTF8') || value || '\x0a'::bytea, ''::bytea ORDER BY key), ''::bytea)), 'hex'))
        FROM kvstore.entries WHERE deleted_at IS NULL
        """))!;

    private void CheckReplacements(Dictionary<string, KvValue> entries)
    {
        var writes = _histories.SelectMany(static history => history.Replacements).ToLookup(static write => write.Key, StringComparer.Ordinal);
        writes.Should().NotBeEmpty();
        foreach (var key in writes)
        {
            ConditionalHistory.Check([.. key], entries.TryGetValue(key.Key, out var entry) ? entry.GetText()! : "-").Should().BeEmpty("the writes of {0} are linearizable", key.Key);
        }
    }

    private void CheckCounters(Dictionary<string, KvValue> entries)
    {
        var acknowledged = _histories.SelectMany(static history => history.Incremented).ToLookup(static step => step.Counter, static step => step.Value, StringComparer.Ordinal);
        acknowledged.Should().NotBeEmpty();
        foreach (var counter in acknowledged)
        {
            counter.Should().OnlyHaveUniqueItems("each number of {0} is given once", counter.Key);
            var began = _histories.Sum(history => history.Increments.GetValueOrDefault(counter.Key));
            int.Parse(entries[counter.Key].GetText()!, CultureInfo.InvariantCulture).Should()
                .BeInRange(counter.Count(), began, "no acknowledged increment of {0} is lost, and none is made twice", counter.Key)
                .And.BeGreaterThanOrEqualTo((int)counter.Max());
        }
    }

    // The last write wins: the entry is the newest that anybody has read, and it was put.
    private void CheckPuts(Dictionary<string, KvValue> entries)
    {
        var begun = _histories.SelectMany(static history => history.Puts).ToHashSet();
        var stored = _histories.SelectMany(static history => history.Stored).ToLookup(static step => step.Key, StringComparer.Ordinal);
        stored.Should().NotBeEmpty();
        foreach (var key in stored)
        {
            var entry = entries[key.Key];
            begun.Should().Contain((entry.GetText()!, key.Key));
            key.Max(static step => step.Revision).Should().BeLessThanOrEqualTo(entry.Revision, "no acknowledged put of {0} is lost", key.Key);
            key.Where(step => step.Revision == entry.Revision && step.Read != entry.GetText()).Should().BeEmpty();
            if (key.Key.StartsWith("own/", StringComparison.Ordinal))
            {
                NumberOf(entry.GetText()!).Should().BeGreaterThanOrEqualTo(key.Max(static step => NumberOf(step.Id)), "nobody else writes {0}", key.Key);
            }
        }

        static int NumberOf(string id) => int.Parse(id[(id.LastIndexOf('.') + 1)..], CultureInfo.InvariantCulture);
    }

    private void CheckLocks()
    {
        var held = _histories.SelectMany(static history => history.Held).ToLookup(static step => step.Lock, StringComparer.Ordinal);
        held.Should().NotBeEmpty();
        foreach (var name in held)
        {
            var ended = long.MinValue;
            foreach (var interval in name.OrderBy(static interval => interval.Began))
            {
                interval.Began.Should().BeGreaterThanOrEqualTo(ended, "nobody else holds {0}", name.Key);
                ended = interval.Ended;
            }
        }
    }
}
