using System.Collections.Concurrent;
using System.Globalization;

namespace KvStore.PostgreSql.Tests.Processes;

/// <summary>What one process has done and seen. See <c>tests/KvStore.PostgreSqlChild</c> for the lines.</summary>
/// <remarks>One thread adds lines. The rest is read when it has ended; <see cref="Steps"/> at any time.</remarks>
internal sealed class ProcessHistory
{
    private readonly Dictionary<string, Replacement> _replacements = new(StringComparer.Ordinal);
    private int _steps;

    /// <summary>How many lines there are.</summary>
    public int Steps => Volatile.Read(ref _steps);

    /// <summary>The conditional writes.</summary>
    public IReadOnlyCollection<Replacement> Replacements => _replacements.Values;

    /// <summary>The increments that began, by counter.</summary>
    public ConcurrentDictionary<string, int> Increments { get; } = new(StringComparer.Ordinal);

    /// <summary>The acknowledged increments: counter and the number that it came to.</summary>
    public List<(string Counter, long Value)> Incremented { get; } = [];

    /// <summary>The puts that began: value and key.</summary>
    public List<(string Id, string Key)> Puts { get; } = [];

    /// <summary>The acknowledged puts, with the revision and the value that were read afterwards.</summary>
    public List<(string Id, string Key, long Revision, string Read)> Stored { get; } = [];

    /// <summary>When the process held a lock.</summary>
    public List<(string Lock, long Began, long Ended)> Held { get; } = [];

    /// <summary>When a revision of this process was committed.</summary>
    public Dictionary<long, long> Marked { get; } = [];

    /// <summary>When a revision became visible here.</summary>
    public List<(long Revision, long At)> Seen { get; } = [];

    /// <summary>How many outcomes stayed unknown.</summary>
    public int Unknown { get; private set; }

    /// <summary>What the process itself has found wrong.</summary>
    public List<string> Violations { get; } = [];

    /// <summary>Adds a line.</summary>
    /// <exception cref="FormatException">The line is not whole.</exception>
    public void Add(string line)
    {
        var words = line.Split(' ');
        switch (words)
        {
            case ["replace", var id, var key, var revision, var standing, var began]:
                _replacements.Add(id, new Replacement(id, key, Number(revision), standing, Number(began)));
                break;
            case ["replaced", var id, var revision, var ended]:
                _replacements[id] = _replacements[id] with { Revision = Number(revision), Ended = Number(ended) };
                break;
            case ["refused", var id, var revision, var ended]:
                _replacements[id] = _replacements[id] with { RefusedBy = Number(revision), Ended = Number(ended) };
                break;
            case ["increment", var counter]:
                Increments.AddOrUpdate(counter, 1, static (_, count) => count + 1);
                break;
            case ["incremented", var counter, var value]:
                Incremented.Add((counter, Number(value)));
                break;
            case ["put", var id, var key]:
                Puts.Add((id, key));
                break;
            case ["stored", var id, var key, var revision, var read]:
                Stored.Add((id, key, Number(revision), read));
                break;
            case ["held", var key, var began, var ended]:
                Held.Add((key, Number(began), Number(ended)));
                break;
            case ["marked", var revision, var at]:
                Marked[Number(revision)] = Number(at);
                break;
            case ["seen", var revision, var at]:
                Seen.Add((Number(revision), Number(at)));
                break;
            case ["unknown", _]:
                Unknown++;
                break;
            case ["violation", ..]:
                Violations.Add(line);
                break;
            default:
                // A stack trace has more lines than one.
                if (Violations.Count == 0)
                {
                    throw new FormatException($"The line is not whole: {line}");
                }

                Violations[^1] += $"\n{line}";
                break;
        }

        Interlocked.Increment(ref _steps);
    }

    private static long Number(string word) => long.Parse(word, CultureInfo.InvariantCulture);
}

/// <summary>A write on the condition that a key still has the revision that was read.</summary>
/// <param name="Id">The value that it writes, which no other write has.</param>
/// <param name="Key">The key.</param>
/// <param name="Expected">The revision of the condition; 0 for no entry.</param>
/// <param name="ExpectedId">The value that was read with it; "-" for no entry.</param>
/// <param name="Began">When it began.</param>
internal sealed record Replacement(string Id, string Key, long Expected, string ExpectedId, long Began)
{
    /// <summary>The revision that it made; null when it was refused, or nobody knows.</summary>
    public long? Revision { get; init; }

    /// <summary>The revision that refused it.</summary>
    public long? RefusedBy { get; init; }

    /// <summary>When it was known. What is not known may still happen.</summary>
    public long Ended { get; init; } = long.MaxValue;
}
