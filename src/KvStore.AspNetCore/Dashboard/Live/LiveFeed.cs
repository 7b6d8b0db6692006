using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using KvStore.Diagnostics;

namespace KvStore.Dashboard.Live;

/// <summary>
/// Listens to what all namespaces report, and hands out a sample each second, to all who watch. To be observed costs
/// namespaces something with each operation, so it listens only while somebody watches.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class LiveFeed(TimeProvider time, int watchersMax)
{
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>How long a watcher keeps its place when another one wants it.</summary>
    public static readonly TimeSpan PlaceMin = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly List<LiveWatcher> _watchers = [];
    private Subscription? _subscription;

    /// <summary>How many watch.</summary>
    public int WatcherCount
    {
        get
        {
            lock (_gate)
            {
                return _watchers.Count;
            }
        }
    }

    /// <summary>
    /// Begins to watch. Where as many watch as there may be, who has watched for longest makes place: that a client does not
    /// read cannot be seen until all buffers on the way are full, and a browser comes back by itself.
    /// </summary>
    /// <returns>Null when all have come just now (<see cref="PlaceMin"/>).</returns>
    public LiveWatcher? TryWatch()
    {
        LiveWatcher? oldest = null;
        lock (_gate)
        {
            if (_watchers.Count >= watchersMax)
            {
                // They come in the order in which they began.
                oldest = _watchers[0];
                if (time.GetElapsedTime(oldest.Begun) < PlaceMin)
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

    /// <summary>Ends watching. With the last watcher goes the subscription.</summary>
    public void Leave(LiveWatcher watcher)
    {
        Subscription? ended = null;
        lock (_gate)
        {
            if (_watchers.Remove(watcher) && _watchers.Count == 0)
            {
                (ended, _subscription) = (_subscription, null);
            }
        }

        // Outside the lock, which a timer may be waiting for.
        ended?.Dispose();
    }

    private void HandOut(LiveFrame frame)
    {
        lock (_gate)
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
            _listener.EnableMeasurementEvents(KvMetrics.Requests, _counts);
            _listener.EnableMeasurementEvents(KvMetrics.Duration, _counts);
            KvMetrics.NoticeObservers();
            _timer = time.CreateTimer(static self => ((Subscription)self!).Sample(), this, Interval, Interval);
        }

        public void Dispose()
        {
            _timer.Dispose();
            _listener.Dispose();
            KvMetrics.NoticeObservers();
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
            _feed.HandOut(new LiveFrame(
                _time.GetUtcNow(), span, _counts.ToDictionary(pair => pair.Key, pair => pair.Value.Drain(), StringComparer.Ordinal)));
        }
    }
}
