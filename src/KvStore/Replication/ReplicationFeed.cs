using System.Text;
using System.Threading.Channels;
using KvStore.Diagnostics;
using KvStore.Records;

namespace KvStore.Replication;

/// <summary>Tells whoever listens what became of mutations: readers of events, and metrics.</summary>
/// <remarks>
/// Where nobody listens it costs one check a mutation and region. Thread safety: all members, from any thread.
/// </remarks>
internal sealed class ReplicationFeed(string @namespace) : IAsyncEnumerable<KvReplicationEvent>
{
    private readonly Lock _gate = new();

    // Replaced when a reader comes or goes, never changed.
    private volatile Channel<KvReplicationEvent>[] _readers = [];
    private bool _isOver;

    /// <summary>Whether anybody wants to know of arrivals.</summary>
    public bool IsObserved => _readers.Length > 0 || ReplicationMetrics.Lag.Enabled;

    /// <summary>Whether anybody wants to know of stale reads.</summary>
    public static bool IsStalenessObserved => ReplicationMetrics.Staleness.Enabled;

    /// <summary>Tells that a read was answered with something that was no longer so.</summary>
    public void ReportStaleRead(Region region, long staleTicks) =>
        ReplicationMetrics.RecordStaleness(@namespace, region.Name, staleTicks);

    /// <summary>Tells of a mutation in a region.</summary>
    public void Report(byte[] key, InFlightMutation mutation, Region to, KvReplicationOutcome outcome, long heardTicks)
    {
        var departure = mutation.Departure!;
        if (outcome == KvReplicationOutcome.Visible && ReplicationMetrics.Lag.Enabled)
        {
            ReplicationMetrics.RecordLag(@namespace, departure.Origin.Name, to.Name, heardTicks - departure.WrittenTicks);
        }

        if (_readers.Length > 0)
        {
            Tell(ToEvent(key, mutation, to, outcome, heardTicks));
        }
    }

    /// <summary>Tells of a mutation that no region had to wait for.</summary>
    public void ReportAtOnce(
        ReadOnlySpan<byte> key, Record record, long revision, Departure departure, IReadOnlyList<Region> regions)
    {
        if (!IsObserved)
        {
            return;
        }

        var utf8 = key.ToArray();
        var mutation = new InFlightMutation { Record = record, Stamp = 0, Revision = revision, Departure = departure };
        foreach (var region in regions)
        {
            if (region != departure.Origin)
            {
                Report(utf8, mutation, region, KvReplicationOutcome.Visible, departure.WrittenTicks);
            }
        }
    }

    /// <summary>An event for a caller.</summary>
    public static KvReplicationEvent ToEvent(
        byte[] key, InFlightMutation mutation, Region to, KvReplicationOutcome outcome, long heardTicks) => new(
        Encoding.UTF8.GetString(key),
        mutation.Departure!.Origin.Name,
        to.Name,
        mutation.Revision,
        mutation.Record.IsNone,
        outcome,
        new DateTimeOffset(mutation.Departure.WrittenTicks, TimeSpan.Zero),
        new DateTimeOffset(heardTicks, TimeSpan.Zero));

    /// <summary>Begins to read: what happens from this call on, until the enumerator is disposed or the namespace is.</summary>
    public IAsyncEnumerator<KvReplicationEvent> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        var reader = Channel.CreateUnbounded<KvReplicationEvent>(new UnboundedChannelOptions { SingleReader = true });
        lock (_gate)
        {
            _readers = [.. _readers, reader];
            if (_isOver)
            {
                reader.Writer.Complete();
            }
        }

        return new Reader(this, reader, cancellationToken);
    }

    /// <summary>Ends all reading, after what has been told.</summary>
    public void Complete()
    {
        lock (_gate)
        {
            _isOver = true;
            Array.ForEach(_readers, static reader => reader.Writer.TryComplete());
        }
    }

    private void Tell(KvReplicationEvent happened)
    {
        foreach (var reader in _readers)
        {
            reader.Writer.TryWrite(happened);
        }
    }

    private void Remove(Channel<KvReplicationEvent> reader)
    {
        lock (_gate)
        {
            _readers = [.. _readers.Where(other => other != reader)];
        }
    }

    private sealed class Reader(ReplicationFeed feed, Channel<KvReplicationEvent> channel, CancellationToken cancellationToken)
        : IAsyncEnumerator<KvReplicationEvent>
    {
        private KvReplicationEvent? _current;

        public KvReplicationEvent Current => _current ?? throw new InvalidOperationException("There is no current event.");

        public async ValueTask<bool> MoveNextAsync()
        {
            while (await channel.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
            {
                if (channel.Reader.TryRead(out _current))
                {
                    return true;
                }
            }

            _current = null;
            return false;
        }

        public ValueTask DisposeAsync()
        {
            feed.Remove(channel);
            return default;
        }
    }
}
