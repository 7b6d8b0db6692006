using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvStore.Diagnostics;
using KvStore.Records;
using KvStore.Rules;

namespace KvStore.Values;

/// <summary>
/// Owns the large values of a namespace: decides for how long the file of each is kept, for its record and for its readers.
/// </summary>
/// <remarks>
/// <para><b>Who owns a value.</b> Exactly one at a time, which releases it (<see cref="Release"/>) or hands it on: first the
/// <see cref="StreamedValue"/> that writes it, then the draft of the record that refers to it, then the index. A draft that is
/// abandoned and a record that leaves the index release their value; that is the only place of the engine that does. An entry that
/// gets a new time to live gets a new record with the same value: until the old record leaves the index, the two share it
/// (<see cref="Share"/>), and the last one that releases it counts.</para>
/// <para><b>Who reads a value</b> has a lease, and the file is kept until the value is released and the last lease has ended. A stream
/// has a lease until it is disposed. A <see cref="KvValue"/> has a lease until it is disposed, or for <see cref="Patience"/> when
/// nobody disposes it; afterwards it can be opened only as long as the key still has this value. A region has a lease
/// (<see cref="TryLease"/>) on what it still sees. No lease depends on the garbage collector.</para>
/// <para>All <see cref="KvValue"/>s of one large value share one lease, so that reading it often costs nothing but a count. The timer
/// runs while there are leases.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class LargeValueLeases(string name, TimeProvider timeProvider, Func<IKvLargeValues?> provider) : IDisposable
{
    /// <summary>How long a value that was read and not disposed can be opened after its key has another one.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly Dictionary<long, Lease> _leases = [];

    // How many records refer to a value besides one, by its number. Its own lock, because values are released under the lock of a shard.
    private readonly Lock _shareLock = new();
    private readonly Dictionary<long, int> _shares = [];

    // How many records refer to each value, while the provider recovers; null once it is open. Guarded by the lock of the shares.
    private Dictionary<long, (KvValueReference Reference, int Records)>? _recovered = [];
    private ITimer? _timer;
    private bool _isArmed;
    private bool _isDisposed;

    /// <summary>Keeps large values outside memory; null when the namespace has no provider that does.</summary>
    public IKvLargeValues? Provider => provider();

    /// <summary>
    /// The provider is open: it is notified of the values that were released while it opened, and of each one from now on. Requires:
    /// nothing is released meanwhile.
    /// </summary>
    public void Open()
    {
        Dictionary<long, (KvValueReference Reference, int Records)> recovered;
        lock (_shareLock)
        {
            Debug.Assert(_recovered is not null, "A provider is opened once.");
            recovered = _recovered;
            _recovered = null;
        }

        foreach (var (reference, records) in recovered.Values)
        {
            if (records <= 0)
            {
                Provider?.Release(reference);
            }
        }
    }

    /// <summary>
    /// A record that was recovered refers to a value, and releases it. The records of an entry that was touched refer to one value and come
    /// in any order, so the value is released when the provider is open and none is left.
    /// </summary>
    /// <returns>False when the provider is open: then nothing is counted.</returns>
    /// <exception cref="OutOfMemoryException">Nothing has changed.</exception>
    public bool TryCount(KvValueReference reference)
    {
        lock (_shareLock)
        {
            if (_recovered is null)
            {
                return false;
            }

            AllocationProbe.Before();
            CountHoldingLock(reference, 1);
            return true;
        }
    }

    /// <summary>
    /// One more record is about to refer to a value, which then has as many owners: each releases it. Call it before the other
    /// record may be found to be the newest of its key, because the value may be released at any time until then.
    /// </summary>
    /// <exception cref="OutOfMemoryException">Nothing has changed.</exception>
    public void Share(KvValueReference reference)
    {
        Debug.Assert(!reference.IsNone);
        lock (_shareLock)
        {
            AllocationProbe.Before();
            CollectionsMarshal.GetValueRefOrAddDefault(_shares, reference.Id, out _)++;
        }
    }

    /// <summary>
    /// A record no longer refers to a value. The file of a value that none refers to is removed when its last lease has ended and that
    /// is durable.
    /// </summary>
    public void Release(KvValueReference reference)
    {
        Debug.Assert(!reference.IsNone);
        if (!TryEndShare(reference))
        {
            Provider?.Release(reference);
        }
    }

    /// <summary>Finds a value for a reader.</summary>
    /// <param name="reference">Where it is.</param>
    /// <param name="record">The record that refers to it.</param>
    /// <param name="view">The view, for a <see cref="KvValue"/>.</param>
    /// <returns>False when the value is not kept any more: look the key up again, and when it still leads here, it has expired.</returns>
    public bool TryView(KvValueReference reference, Record record, [NotNullWhen(true)] out LargeValueView? view)
    {
        lock (_lock)
        {
            if (!_leases.TryGetValue(reference.Id, out var lease))
            {
                if (TryLease(reference) is not { } value)
                {
                    view = null;
                    return false;
                }

                lease = new Lease(reference, value);
                if (!_isDisposed)
                {
                    AddHoldingLock(lease);
                }
            }

            view = new LargeValueView(this, lease, record);
            lease.Views++;
            lease.LastViewed = timeProvider.GetTimestamp();
            return true;
        }
    }

    /// <summary>Keeps a value readable until the returned object is disposed; null when it is not kept any more.</summary>
    public KvLargeValue? TryLease(KvValueReference reference) =>
        Provider is { } values && values.TryOpen(reference, out var value) ? value : null;

    /// <summary>Opens a value that is viewed. The stream has a lease of its own.</summary>
    /// <param name="lease">The lease of the view.</param>
    /// <param name="key">The key of the value, for the message.</param>
    /// <param name="hasView">Whether the caller's view still counts. The views of others may end at any moment.</param>
    /// <exception cref="KvException">The value was replaced, and the view is too old, or has given up its lease (410).</exception>
    public Stream Open(Lease lease, ReadOnlySpan<byte> key, bool hasView)
    {
        KvLargeValue? again = null;
        lock (_lock)
        {
            if ((lease.IsEnded || !hasView) && (again = TryLease(lease.Reference)) is null)
            {
                throw new KvException(
                    410,
                    "GET",
                    Invariant($"The large value of the key {VisibleKey.Quote(key)} in the namespace {VisibleKey.Quote(name)} was replaced or deleted, and it was read more than {Patience.TotalSeconds:0} seconds ago, or by a scan that has gone on. ")
                        + "Get the key again, or open the stream at once and keep that.");
            }
        }

        using (again)
        {
            return (again ?? lease.Value).OpenStream();
        }
    }

    /// <summary>A view is disposed.</summary>
    public void Leave(Lease lease)
    {
        lock (_lock)
        {
            Debug.Assert(lease.Views > 0, "A view leaves once.");
            if (--lease.Views == 0)
            {
                EndHoldingLock(lease);
            }
        }
    }

    /// <summary>Ends the leases of all views. Streams go on.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            _timer?.Dispose();
            foreach (var lease in _leases.Values.ToArray())
            {
                EndHoldingLock(lease);
            }
        }
    }

    // Whether a record is left that refers to the value, or the provider is not open.
    private bool TryEndShare(KvValueReference reference)
    {
        lock (_shareLock)
        {
            if (_recovered is not null)
            {
                CountHoldingLock(reference, -1);
                return true;
            }

            ref var shares = ref CollectionsMarshal.GetValueRefOrNullRef(_shares, reference.Id);
            if (Unsafe.IsNullRef(ref shares))
            {
                return false;
            }

            if (--shares == 0)
            {
                _shares.Remove(reference.Id);
            }

            return true;
        }
    }

    private void CountHoldingLock(KvValueReference reference, int records)
    {
        Debug.Assert(_shareLock.IsHeldByCurrentThread && _recovered is not null);
        ref var counted = ref CollectionsMarshal.GetValueRefOrAddDefault(_recovered, reference.Id, out _);
        counted = (reference, counted.Records + records);
    }

    // Nobody would end a lease that has no timer.
    private void AddHoldingLock(Lease lease)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        try
        {
            AllocationProbe.Before();
            _leases.Add(lease.Reference.Id, lease);
            AllocationProbe.Before();
            ArmHoldingLock();
        }
        catch
        {
            EndHoldingLock(lease);
            throw;
        }
    }

    private void EndHoldingLock(Lease lease)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        if (!lease.IsEnded)
        {
            lease.IsEnded = true;
            _leases.Remove(lease.Reference.Id);
            lease.Value.Dispose();
        }
    }

    private void Tick()
    {
        lock (_lock)
        {
            _isArmed = false;
            try
            {
                foreach (var lease in _leases.Values)
                {
                    if (timeProvider.GetElapsedTime(lease.LastViewed) >= Patience)
                    {
                        // Removing while enumerating is allowed.
                        EndHoldingLock(lease);
                    }
                }

                ArmHoldingLock();
            }
            catch (OutOfMemoryException)
            {
                // On the thread of a timer it would end the process. The next value that is viewed arms the timer.
            }
        }
    }

    private void ArmHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        if (_isArmed || _isDisposed || _leases.Count == 0)
        {
            return;
        }

        var longest = TimeSpan.Zero;
        foreach (var lease in _leases.Values)
        {
            var since = timeProvider.GetElapsedTime(lease.LastViewed);
            longest = since > longest ? since : longest;
        }

        _timer ??= timeProvider.CreateTimer(
            static leases => ((LargeValueLeases)leases!).Tick(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        var wait = Patience - longest;
        _timer.Change(wait > TimeSpan.FromMilliseconds(1) ? wait : TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
        _isArmed = true;
    }

    /// <summary>Keeps the file of one large value for all <see cref="KvValue"/>s. Its state belongs to the lock of the owner.</summary>
    internal sealed class Lease(KvValueReference reference, KvLargeValue value)
    {
        public KvValueReference Reference { get; } = reference;

        public KvLargeValue Value { get; } = value;

        /// <summary>How many views were made and not disposed.</summary>
        public int Views { get; set; }

        public long LastViewed { get; set; }

        public bool IsEnded { get; set; }
    }
}
