using System.Diagnostics;

namespace KvStore.Tickets;

/// <summary>Remembers in memory which users were signed out everywhere, for requests that had read a ticket before.</summary>
/// <remarks>
/// Cookie authentication reads a ticket when a request begins, and renews it when the response begins. When the user was signed out
/// everywhere in between, also by this request itself, renewing the ticket would sign the user in again. No request outlives the process,
/// so nothing of this is stored. Thread safety: all members, from any thread.
/// </remarks>
/// <param name="usersMax">How many users are remembered. A request that is older than what is remembered counts as one of a removed user.</param>
internal sealed class RemovedUsers(int usersMax)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, long> _removedAt = new(StringComparer.Ordinal);
    private readonly Queue<(string User, long At)> _order = new();
    private long _now;
    private long _forgottenThrough;

    /// <summary>The moment: how often users were removed in this process. Read it before a ticket is read.</summary>
    public long Now => Volatile.Read(ref _now);

    /// <summary>How many users are remembered.</summary>
    internal int Count
    {
        get
        {
            lock (_lock)
            {
                return _removedAt.Count;
            }
        }
    }

    /// <summary>Notes that a user is removed. Call it before the tickets are deleted.</summary>
    public void Add(string user)
    {
        lock (_lock)
        {
            var now = _now + 1;
            _removedAt[user] = now;
            _order.Enqueue((user, now));
            while (_order.Count > usersMax)
            {
                var (oldest, at) = _order.Dequeue();
                Debug.Assert(at > _forgottenThrough);
                _forgottenThrough = at;
                if (_removedAt[oldest] == at)
                {
                    _removedAt.Remove(oldest);
                }
            }

            Volatile.Write(ref _now, now);
        }
    }

    /// <summary>Whether a user was removed after a moment, or may have been.</summary>
    public bool WasRemovedAfter(string user, long moment)
    {
        lock (_lock)
        {
            return moment < _forgottenThrough || (_removedAt.TryGetValue(user, out var at) && at > moment);
        }
    }
}
