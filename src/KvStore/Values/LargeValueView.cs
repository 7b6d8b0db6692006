using KvStore.Records;
using KvStore.Rules;

namespace KvStore.Values;

/// <summary>The source of a <c>KvValue</c> whose value is kept outside memory. Made for one read.</summary>
/// <param name="leases">The leases of the namespace.</param>
/// <param name="lease">The lease that keeps the file of this value.</param>
/// <param name="record">The record that refers to the value.</param>
internal sealed class LargeValueView(LargeValueLeases leases, LargeValueLeases.Lease lease, Record record) : IDisposable
{
    private int _state;

    private enum State
    {
        Leased,
        Unleased,
        Disposed,
    }

    /// <summary>The length in bytes.</summary>
    public long Length => lease.Reference.Length;

    public byte[] Segment => record.Segment;

    /// <summary>Opens the value. The stream has a lease of its own.</summary>
    public Stream OpenStream()
    {
        var state = (State)Volatile.Read(ref _state);
        return state != State.Disposed ? leases.Open(lease, record.Key, hasView: state == State.Leased) : throw Disposed();
    }

    /// <summary>Reads the whole value.</summary>
    public byte[] ReadAll()
    {
        var bytes = new byte[Length];
        using var stream = OpenStream();
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>Reads the whole value without blocking.</summary>
    public async ValueTask<byte[]> ReadAllAsync(CancellationToken cancellationToken)
    {
        var bytes = new byte[Length];
        await ReadAllAsync(bytes, cancellationToken).ConfigureAwait(false);
        return bytes;
    }

    /// <summary>Reads the whole value without blocking, to memory of just its length.</summary>
    public async ValueTask ReadAllAsync(Memory<byte> destination, CancellationToken cancellationToken)
    {
        var stream = OpenStream();
        await using (stream.ConfigureAwait(false))
        {
            await stream.ReadExactlyAsync(destination, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Ends the lease of this view. Streams that were opened go on.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _state, (int)State.Disposed) == (int)State.Leased)
        {
            leases.Leave(lease);
        }
    }

    /// <summary>Ends the lease of this view, which can still be opened as long as its key has this value. Streams that were opened go on.</summary>
    public void EndLease()
    {
        if (Interlocked.CompareExchange(ref _state, (int)State.Unleased, (int)State.Leased) == (int)State.Leased)
        {
            leases.Leave(lease);
        }
    }

    // Names the structure that callers have, which is in a higher layer.
    private ObjectDisposedException Disposed() =>
        new("KvValue", $"The large value of the key {VisibleKey.Quote(record.Key)} was disposed.");
}
