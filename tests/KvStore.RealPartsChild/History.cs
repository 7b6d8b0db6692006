using System.Globalization;
using System.Text;

namespace KvStore.RealPartsChild;

/// <summary>
/// The calls of a namespace and their results, in one order. Each event is also a line on a pipe, where there is one:
/// the process that reads the pipe can rebuild the history after this one was killed. Thread safety: all members.
/// </summary>
/// <remarks>
/// <c>b id key length</c>: a call begins; <c>a id</c>: it is acknowledged; <c>r id</c>: it was refused; <c>u id</c>: unknown;
/// <c>p name</c>: a phase begins; <c>v text</c>: something happened that never may; <c>n text</c>: a note.
/// </remarks>
internal sealed class History(Stream? pipe = null, long firstId = 1)
{
    private readonly Lock _lock = new();
    private readonly List<Call> _calls = [];
    private readonly Dictionary<long, Call> _byId = [];
    private readonly List<string> _violations = [];
    private readonly List<(string Name, long Moment)> _phases = [];
    private long _nextId = firstId;
    private long _moment;

    /// <summary>Whether calls are kept, which takes memory; otherwise they are only written to the pipe.</summary>
    public bool IsKept { get; init; } = true;

    public IReadOnlyList<Call> Calls
    {
        get
        {
            lock (_lock)
            {
                return [.. _calls];
            }
        }
    }

    public IReadOnlyList<string> Violations
    {
        get
        {
            lock (_lock)
            {
                return [.. _violations];
            }
        }
    }

    public IReadOnlyList<(string Name, long Moment)> Phases
    {
        get
        {
            lock (_lock)
            {
                return [.. _phases];
            }
        }
    }

    public long NextId
    {
        get
        {
            lock (_lock)
            {
                return _nextId;
            }
        }
    }

    public long Now
    {
        get
        {
            lock (_lock)
            {
                return ++_moment;
            }
        }
    }

    public Call Begin(string key, int length)
    {
        lock (_lock)
        {
            var call = Add(_nextId, key, length);
            Write('b', call.Id, key, length);
            return call;
        }
    }

    public void End(Call call, Outcome outcome)
    {
        lock (_lock)
        {
            call.Outcome = outcome;
            call.End = ++_moment;
            Write(outcome switch { Outcome.Acknowledged => 'a', Outcome.Refused => 'r', _ => 'u' }, call.Id);
        }
    }

    public void Phase(string name)
    {
        lock (_lock)
        {
            _phases.Add((name, ++_moment));
            WriteText('p', name);
        }
    }

    public void Violation(string text)
    {
        lock (_lock)
        {
            _violations.Add(text);
            WriteText('v', text.ReplaceLineEndings(" | "));
        }
    }

    public void Note(string text)
    {
        lock (_lock)
        {
            WriteText('n', text.ReplaceLineEndings(" | "));
        }
    }

    /// <summary>Takes a line that the history of another process wrote. One that was cut off by its end says nothing.</summary>
    public void Read(string line)
    {
        lock (_lock)
        {
            var parts = line.Split(' ');
            switch (parts[0])
            {
                case "b" when parts.Length == 4 && TryId(parts[1], out var id) && int.TryParse(parts[3], CultureInfo.InvariantCulture, out var length):
                    Add(id, parts[2], length);
                    break;
                case "a" or "r" or "u" when parts.Length == 2 && TryId(parts[1], out var id) && _byId.TryGetValue(id, out var call):
                    call.End = ++_moment;
                    call.Outcome = parts[0] switch { "a" => Outcome.Acknowledged, "r" => Outcome.Refused, _ => Outcome.Unknown };
                    break;
                case "p" when line.Length > 2:
                    _phases.Add((line[2..], ++_moment));
                    break;
                case "v" when line.Length > 2:
                    _violations.Add(line[2..]);
                    break;
            }
        }
    }

    private static bool TryId(string text, out long id) => long.TryParse(text, CultureInfo.InvariantCulture, out id);

    private Call Add(long id, string key, int length)
    {
        var call = new Call(id, key, length, ++_moment);
        if (IsKept)
        {
            _calls.Add(call);
            _byId.Add(id, call);
        }

        _nextId = id + 1;
        return call;
    }

    // Without an allocation: this also runs while memory is short.
    private void Write(char kind, long id, string? key = null, int length = 0)
    {
        if (pipe is null)
        {
            return;
        }

        Span<char> line = stackalloc char[200];
        var isWritten = key is null
            ? line.TryWrite(CultureInfo.InvariantCulture, $"{kind} {id}\n", out var chars)
            : line.TryWrite(CultureInfo.InvariantCulture, $"{kind} {id} {key} {length}\n", out chars);
        Span<byte> bytes = stackalloc byte[600];
        if (isWritten)
        {
            pipe.Write(bytes[..Encoding.UTF8.GetBytes(line[..chars], bytes)]);
        }
    }

    private void WriteText(char kind, string text) => pipe?.Write(Encoding.UTF8.GetBytes($"{kind} {text}\n"));
}
