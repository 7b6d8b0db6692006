using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using KvStore.Records;
using KvStore.Rules;

namespace KvStore.Values;

/// <summary>
/// Decides for how long the file of a large value is kept for its readers.
/// </summary>
/// <remarks>
/// <para>The one rule: a stream keeps the file until it is disposed. A <see cref="KvValue"/> keeps it until it is disposed, or for
/// <see cref="Patience"/> when nobody disposes it; afterwards it can be opened only as long as the key still has this value.
/// Whoever else needs a value longer (<see cref="TryHold"/>) disposes what it got. Nothing waits for the garbage collector.</para>
/// <para>All <see cref="KvValue"/>s of one large value share one lease, so that reading it often costs nothing but a count. The timer
/// runs while there are leases.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class LargeValueLeases(string name, TimeProvider timeProvider, Func<IKvLargeValues?> largeValues) : IDisposable
{
    /// <summary>For how long a value can be opened that was read and not disposed, though its key has another one by now.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly Dictionary<long, Lease> _leases = [];
    private ITimer? _timer;
    private bool _isArmed;
    private bool _isDisposed;

    /// <summary>Looks at a value.</summary>
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
                if (largeValues() is not { } values || !values.TryOpen(reference, out var value))
                {
                    view = null;
                    return false;
                }

                lease = new Lease(reference, value);
                if (!_isDisposed)
                {
                    _leases.Add(reference.Id, lease);
                    Arm();
                }
            }

            view = new LargeValueView(this, lease, record);
            lease.Views++;
            lease.LastViewed = timeProvider.GetTimestamp();
            return true;
        }
    }

    /// <summary>Holds a value until what is returned is disposed; null when it is not kept any more.</summary>
    public KvLargeValue? TryHold(KvValueReference reference) =>
        largeValues() is { } values && values.TryOpen(reference, out var value) ? value : null;

    /// <summary>Opens a value that is viewed. The stream keeps it by itself.</summary>
    /// <param name="lease">What keeps it.</param>
    /// <param name="key">Its key, for the message.</param>
    /// <exception cref="KvException">It was replaced, and the view is too old (410).</exception>
    public Stream Open(Lease lease, ReadOnlySpan<byte> key)
    {
        KvLargeValue? again = null;
        lock (_lock)
        {
            if (lease.IsEnded && (again = TryHold(lease.Reference)) is null)
            {
                throw new KvException(
                    410,
                    "GET",
                    Invariant($"The large value of the key {VisibleKey.Quote(key)} in the namespace {VisibleKey.Quote(name)} was replaced or deleted, and it was read more than {Patience.TotalSeconds:0} seconds ago. ")
                        + "Get the key again, or open the stream at once and keep that.");
            }
        }

        using (again)
        {
            return (again ?? lease.Value).OpenStream();
        }
    }

    /// <summary>A view is not needed any more.</summary>
    public void Leave(Lease lease)
    {
        lock (_lock)
        {
            Debug.Assert(lease.Views > 0, "A view leaves once.");
            if (--lease.Views == 0)
            {
                End(lease);
            }
        }
    }

    /// <summary>Gives everything back. Streams go on.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _isDisposed = true;
            _timer?.Dispose();
            foreach (var lease in _leases.Values.ToArray())
            {
                End(lease);
            }
        }
    }

    private void End(Lease lease)
    {
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
            foreach (var lease in _leases.Values)
            {
                if (timeProvider.GetElapsedTime(lease.LastViewed) >= Patience)
                {
                    // Removing while enumerating is allowed.
                    End(lease);
                }
            }

            Arm();
        }
    }

    private void Arm()
    {
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

    /// <summary>What keeps the file of one large value for all <see cref="KvValue"/>s. Its state belongs to the owner's lock.</summary>
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
