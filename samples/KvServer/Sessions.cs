using System.Globalization;
using System.Security.Cryptography;

namespace KvServer;

/// <summary>
/// The sessions that are open: a cookie that was copied is worth nothing once its session has ended. They lie in a file, so that
/// they outlive a restart. Thread safety: all members, from any thread.
/// </summary>
internal sealed class Sessions
{
    /// <summary>How long a session lasts.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromHours(12);

    // Each sign-in takes the token, so that these are an owner's own; the oldest ends.
    private const int SessionsMax = 1000;

    private readonly Lock _lock = new();
    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly Dictionary<string, DateTimeOffset> _ends = new(StringComparer.Ordinal);

    public Sessions(string path, TimeProvider time)
    {
        _path = path;
        _time = time;
        foreach (var line in File.Exists(path) ? File.ReadAllLines(path) : [])
        {
            // What cannot be read is no session.
            if (line.Split(' ') is [var id, var end] && long.TryParse(end, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds < DateTimeOffset.MaxValue.ToUnixTimeSeconds())
            {
                _ends[id] = DateTimeOffset.FromUnixTimeSeconds(seconds);
            }
        }
    }

    /// <summary>Begins a session.</summary>
    /// <returns>What its cookie holds.</returns>
    public string Begin()
    {
        var id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        lock (_lock)
        {
            var now = _time.GetUtcNow();
            foreach (var (old, _) in _ends.Where(session => session.Value <= now).ToList())
            {
                _ends.Remove(old);
            }

            if (_ends.Count >= SessionsMax)
            {
                _ends.Remove(_ends.MinBy(session => session.Value).Key);
            }

            _ends[id] = now + Life;
            WriteHoldingLock();
        }

        return id;
    }

    /// <summary>Whether a session is open.</summary>
    public bool IsOpen(string? id)
    {
        lock (_lock)
        {
            return id is not null && _ends.TryGetValue(id, out var end) && end > _time.GetUtcNow();
        }
    }

    /// <summary>Ends a session.</summary>
    public void End(string? id)
    {
        lock (_lock)
        {
            if (id is not null && _ends.Remove(id))
            {
                WriteHoldingLock();
            }
        }
    }

    private void WriteHoldingLock() =>
        DataFile.Write(_path, string.Concat(_ends.Select(session => string.Create(CultureInfo.InvariantCulture, $"{session.Key} {session.Value.ToUnixTimeSeconds()}\n"))));
}
