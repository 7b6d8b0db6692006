using System.Text;
using System.Threading.Channels;
using KvStore.Diagnostics;
using KvStore.Memory;

namespace KvStore.Replication;

/// <summary>Reports the outcomes of writes in the other regions to readers of events and to metrics.</summary>
/// <remarks>
/// Without readers and metrics it costs one check for each write and region. A report never fails for lack of memory: the readers
/// then end with an <see cref="InsufficientMemoryException"/>, because they would miss an event. Thread safety: all members, from any thread.
/// </remarks>
/// <param name="namespace">The name of the namespace.</param>
/// <param name="store">The newest state.</param>
internal sealed class ReplicationEvents(string @namespace, ShardedStore store) : IAsyncEnumerable<KvReplicationEvent>
{
    private static readonly InsufficientMemoryException s_missedEvents = new(
        "There was not enough memory for a replication event, so events are missing from here on. Read the events again to continue.");

    private readonly Lock _lock = new();

    // Replaced when a reader is added or removed, never changed.
    private volatile Channel<KvReplicationEvent>[] _readers = [];
    private bool _isCompleted;

    /// <summary>Whether deliveries have an observer.</summary>
    public bool IsObserved => _readers.Length > 0 || ReplicationMetrics.Lag.Enabled;

    /// <summary>Whether stale reads have an observer.</summary>
    public static bool IsStalenessObserved => ReplicationMetrics.Staleness.Enabled;

    /// <summary>Reports a read that returned something that was not the newest any more.</summary>
    public void ReportStaleRead(Region region, long staleTicks) =>
        ReplicationMetrics.RecordStaleness(@namespace, region.Name, staleTicks);

    /// <summary>Reports the outcome of a write in a region.</summary>
    public void Report(byte[] key, PendingWrite write, Region to, KvReplicationOutcome outcome, long deliveredTicks)
    {
        try
        {
            if (outcome == KvReplicationOutcome.Visible && ReplicationMetrics.Lag.Enabled)
            {
                ReplicationMetrics.RecordLag(@namespace, write.Origin.Region.Name, to.Name, deliveredTicks - write.WrittenTicks);
            }

            if (_readers.Length > 0)
            {
                AllocationProbe.Before();
                Notify(ToEvent(key, write, to, outcome, deliveredTicks));
            }
        }
        catch (OutOfMemoryException)
        {
            EndReaders();
        }
    }

    /// <summary>Reports a write that every region receives at once.</summary>
    public void ReportDelivered(ReadOnlySpan<byte> key, PendingWrite write, Region[] regions)
    {
        if (!IsObserved)
        {
            return;
        }

        byte[] utf8;
        try
        {
            AllocationProbe.Before();
            utf8 = key.ToArray();
        }
        catch (OutOfMemoryException)
        {
            EndReaders();
            return;
        }

        foreach (var region in regions)
        {
            if (region != write.Origin.Region)
            {
                Report(utf8, write, region, KvReplicationOutcome.Visible, write.WrittenTicks);
            }
        }
    }

    /// <summary>Creates an event. Its revision is counted from the opening, so that the same schedule gives the same events.</summary>
    public KvReplicationEvent ToEvent(
        byte[] key, PendingWrite write, Region to, KvReplicationOutcome outcome, long deliveredTicks) => new(
        Encoding.UTF8.GetString(key),
        write.Origin.Region.Name,
        to.Name,
        write.Revision - store.FirstRevision,
        write.Record.IsNone,
        outcome,
        new DateTimeOffset(write.WrittenTicks, TimeSpan.Zero),
        new DateTimeOffset(deliveredTicks, TimeSpan.Zero));

    /// <summary>Begins to read the events from this call on. Ends when the namespace is disposed.</summary>
    public IAsyncEnumerator<KvReplicationEvent> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        var reader = Channel.CreateUnbounded<KvReplicationEvent>(new UnboundedChannelOptions { SingleReader = true });
        lock (_lock)
        {
            _readers = [.. _readers, reader];
            if (_isCompleted)
            {
                reader.Writer.Complete();
            }
        }

        return new Reader(this, reader, cancellationToken);
    }

    /// <summary>Ends all readers, after the events that they have not read yet.</summary>
    public void Complete()
    {
        lock (_lock)
        {
            _isCompleted = true;
            Array.ForEach(_readers, static reader => reader.Writer.TryComplete());
        }
    }

    private void Notify(KvReplicationEvent happened)
    {
        foreach (var reader in _readers)
        {
            reader.Writer.TryWrite(happened);
        }
    }

    private void EndReaders()
    {
        foreach (var reader in _readers)
        {
            try
            {
                reader.Writer.TryComplete(s_missedEvents);
            }
            catch (OutOfMemoryException)
            {
                // The next event that cannot be created ends the reader.
            }
        }
    }

    private void Remove(Channel<KvReplicationEvent> reader)
    {
        lock (_lock)
        {
            _readers = [.. _readers.Where(other => other != reader)];
        }
    }

    private sealed class Reader(ReplicationEvents events, Channel<KvReplicationEvent> channel, CancellationToken cancellationToken)
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
            events.Remove(channel);
            return default;
        }
    }
}
