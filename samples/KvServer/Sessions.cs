using System.Globalization;
using System.Security.Cryptography;

namespace KvServer;

/// <summary>
/// The open sessions. A copied cookie is useless after its session has ended. The sessions are in a file, so they survive a restart.
/// Thread safety: all members, from any thread.
/// </summary>
internal sealed class Sessions
{
    /// <summary>How long a session lasts.</summary>
    public static readonly TimeSpan Life = TimeSpan.FromHours(12);

    // Each sign-in needs the token, so all sessions belong to the owner. Beyond this number the oldest session ends.
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
            // A session that cannot be read is closed.
            if (line.Split(' ') is [var id, var end] && long.TryParse(end, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds < DateTimeOffset.MaxValue.ToUnixTimeSeconds())
            {
                _ends[id] = DateTimeOffset.FromUnixTimeSeconds(seconds);
            }
        }
    }

    /// <summary>Begins a session.</summary>
    /// <returns>The value of its cookie.</returns>
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
