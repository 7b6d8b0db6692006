using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace KvStore.Dashboard.Live;

/// <summary>
/// Listens to the metrics of all namespaces, and gives a sample each second to all watchers. A listener slows down every operation of
/// every namespace a little, so the feed listens only while there are watchers.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class LiveFeed(TimeProvider time, int watchersMax)
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>The least time that a watcher keeps its slot when a new one needs it.</summary>
    public static readonly TimeSpan SlotTimeMin = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly List<LiveWatcher> _watchers = [];
    private Subscription? _subscription;

    /// <summary>The number of watchers.</summary>
    public int WatcherCount
    {
        get
        {
            lock (_lock)
            {
                return _watchers.Count;
            }
        }
    }

    /// <summary>
    /// Begins to watch. When all slots are taken, the watcher that began first loses its slot: the server cannot see that a client
    /// does not read until all buffers on the way are full, and a browser connects again by itself.
    /// </summary>
    /// <returns>The watcher, which the caller disposes; null when each watcher has had its slot for less than <see cref="SlotTimeMin"/>.</returns>
    public LiveWatcher? TryWatch()
    {
        LiveWatcher? oldest = null;
        lock (_lock)
        {
            if (_watchers.Count >= watchersMax)
            {
                // The watchers are in the order in which they began.
                oldest = _watchers[0];
                if (time.GetElapsedTime(oldest.Begun) < SlotTimeMin)
                {
                    return null;
                }

                _watchers.RemoveAt(0);
            }

            var watcher = new LiveWatcher(this, time.GetTimestamp());
            _watchers.Add(watcher);
            _subscription ??= new Subscription(this, time);
            oldest?.Drop();
            return watcher;
        }
    }

    /// <summary>Ends watching. The last watcher ends the subscription.</summary>
    public void Leave(LiveWatcher watcher)
    {
        Subscription? ended = null;
        lock (_lock)
        {
            if (_watchers.Remove(watcher) && _watchers.Count == 0)
            {
                (ended, _subscription) = (_subscription, null);
            }
        }

        // Outside the lock: disposing a timer waits for its callback, which takes the lock.
        ended?.Dispose();
    }

    private void Publish(LiveFrame frame)
    {
        lock (_lock)
        {
            foreach (var watcher in _watchers)
            {
                watcher.Offer(frame);
            }
        }
    }

    private sealed class Subscription : IDisposable
    {
        private readonly LiveFeed _feed;
        private readonly TimeProvider _time;
        private readonly ConcurrentDictionary<string, LiveCounts> _counts = new(StringComparer.Ordinal);
        private readonly MeterListener _listener = new();
        private readonly ITimer _timer;
        private long _last;

        public Subscription(LiveFeed feed, TimeProvider time)
        {
            _feed = feed;
            _time = time;
            _last = time.GetTimestamp();
            _listener.SetMeasurementEventCallback<long>(static (_, count, tags, counts) => Find(counts, tags, out var operation, out var outcome).Count(operation, outcome, count));
            _listener.SetMeasurementEventCallback<double>(static (_, seconds, tags, counts) => Find(counts, tags, out var operation, out var _).Time(operation, seconds));
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == KvDiagnostics.MeterName && instrument.Name is ("kvstore.requests" or "db.client.operation.duration"))
                {
                    listener.EnableMeasurementEvents(instrument, _counts);
                }
            };
            _listener.Start();
            KvDiagnostics.NoticeObservers();
            _timer = time.CreateTimer(static self => ((Subscription)self!).Sample(), this, Interval, Interval);
        }

        public void Dispose()
        {
            _timer.Dispose();
            _listener.Dispose();
            KvDiagnostics.NoticeObservers();
        }

        private static LiveCounts Find(object? counts, ReadOnlySpan<KeyValuePair<string, object?>> tags, out string? operation, out string? outcome)
        {
            string? name = null;
            operation = outcome = null;
            foreach (var (tag, value) in tags)
            {
                switch (tag)
                {
                    case "db.namespace":
                        name = value as string;
                        break;
                    case "db.operation.name":
                        operation = value as string;
                        break;
                    case "kvstore.outcome":
                        outcome = value as string;
                        break;
                }
            }

            return ((ConcurrentDictionary<string, LiveCounts>)counts!).GetOrAdd(name ?? "", static _ => new LiveCounts());
        }

        private void Sample()
        {
            var now = _time.GetTimestamp();
            var span = _time.GetElapsedTime(_last, now);
            _last = now;
            _feed.Publish(new LiveFrame(
                _time.GetUtcNow(), span, _counts.ToDictionary(pair => pair.Key, pair => pair.Value.Drain(), StringComparer.Ordinal)));
        }
    }
}
