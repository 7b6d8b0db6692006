using System.Collections.Concurrent;
using KvStore.Diagnostics;
using KvStore.Rules;
using Microsoft.Extensions.Logging;

namespace KvStore.Creation;

/// <summary>The factory calls that are under way in a namespace, one at a time for each key.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
/// <param name="name">The name of the namespace.</param>
/// <param name="timeProvider">Its clock.</param>
/// <param name="logger">Its log.</param>
internal sealed class Flights(string name, TimeProvider timeProvider, ILogger logger)
{
    private readonly ConcurrentDictionary<string, Flight> _underway = new(StringComparer.Ordinal);
    private readonly KeyValuePair<string, object?> _tag = new("db.namespace", name);
    private volatile bool _isClosed;

    /// <summary>The name of the namespace.</summary>
    public string NamespaceName => name;

    /// <summary>The clock of the namespace.</summary>
    public TimeProvider TimeProvider => timeProvider;

    /// <summary>Whether the namespace is disposed.</summary>
    public bool IsClosed => _isClosed;

    /// <summary>Begins a flight, unless one for the key is under way.</summary>
    /// <param name="flight">The flight.</param>
    /// <returns>The flight that is under way: the given one, or the one before it.</returns>
    /// <exception cref="ObjectDisposedException">The namespace is disposed.</exception>
    public Flight GetOrBegin(Flight flight)
    {
        var underway = _underway.GetOrAdd(flight.Key, flight);
        if (underway == flight && _isClosed)
        {
            End(flight);
            throw DisposedNamespace.Exception(name);
        }

        return underway;
    }

    /// <summary>Whether the factory of a key is being called.</summary>
    public bool IsUnderway(string key) => _underway.ContainsKey(key);

    /// <summary>Nobody joins a flight any more, and another one for its key may begin.</summary>
    public void End(Flight flight)
    {
        flight.End();
        _underway.TryRemove(KeyValuePair.Create(flight.Key, flight));
    }

    /// <summary>Cancels all factories. Every later flight throws <see cref="ObjectDisposedException"/>.</summary>
    public void Close()
    {
        _isClosed = true;
        foreach (var (_, flight) in _underway)
        {
            flight.Cancel();
        }
    }

    /// <summary>Counts a call of a factory by what became of it.</summary>
    public void Count(string outcome) => KvMetrics.FactoryCalls.Add(1, _tag, new KeyValuePair<string, object?>("kvstore.outcome", outcome));

    /// <summary>Logs that a factory failed in the background.</summary>
    public void LogRefreshFailed(string key, Exception exception) => logger.RefreshFailed(name, VisibleKey.Quote(key), exception);

    /// <summary>Logs that an old value is returned because a factory failed.</summary>
    public void LogStaleOnError(string key, Exception exception) => logger.StaleOnError(name, VisibleKey.Quote(key), exception);

    /// <summary>Logs that a value was created and could not be stored.</summary>
    public void LogNotStored(string key, Exception exception) => logger.CreatedButNotStored(name, VisibleKey.Quote(key), exception);
}
