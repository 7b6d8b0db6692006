using System.Diagnostics;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// The file of one large value, and how many read it. It is removed when no record refers to it any more, what replaced it is
/// durable, and its last lease has ended.
/// </summary>
/// <param name="storage">Where the file is.</param>
/// <param name="reference">The value.</param>
/// <param name="remove">Removes the file. Called once, from any thread.</param>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class ValueFile(IStorage storage, KvValueReference reference, Action<ValueFile> remove)
{
    private readonly Lock _lock = new();
    private int _leases;
    private bool _isReleased;
    private bool _isRemovable;
    private bool _isRemoved;

    public KvValueReference Reference => reference;

    private IStorage Storage => storage;

    /// <summary>The next file in the list of released ones. Belongs to <see cref="ValueFileRemoval"/>.</summary>
    public ValueFile? NextReleased { get; set; }

    /// <summary>Keeps the file until the lease is disposed; null when it is removed.</summary>
    public Lease? TryLease()
    {
        lock (_lock)
        {
            if (_isRemoved)
            {
                return null;
            }

            var lease = new Lease(this);
            _leases++;
            return lease;
        }
    }

    /// <summary>No record refers to it any more.</summary>
    /// <returns>False when it was released before.</returns>
    public bool TryRelease()
    {
        lock (_lock)
        {
            var isNew = !_isReleased;
            _isReleased = true;
            return isNew;
        }
    }

    /// <summary>What replaced it is durable. Requires: it was released.</summary>
    public void AllowRemoval()
    {
        bool removes;
        lock (_lock)
        {
            Debug.Assert(_isReleased, "A record may still refer to it.");
            _isRemovable = true;
            removes = MustRemoveHoldingLock();
        }

        if (removes)
        {
            remove(this);
        }
    }

    private void EndLease()
    {
        bool removes;
        lock (_lock)
        {
            Debug.Assert(_leases > 0, "A lease ends once.");
            _leases--;
            removes = MustRemoveHoldingLock();
        }

        if (removes)
        {
            RemoveSoon();
        }
    }

    private bool MustRemoveHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        var removes = _isRemovable && _leases == 0 && !_isRemoved;
        _isRemoved |= removes;
        return removes;
    }

    // On another thread: the reader that ends its lease does not wait for the disk.
    private void RemoveSoon()
    {
        try
        {
            ThreadPool.UnsafeQueueUserWorkItem(static file => file.Remove(), this, preferLocal: false);
        }
        catch (OutOfMemoryException)
        {
            Remove();
        }
    }

    private void Remove() => remove(this);

    /// <summary>
    /// Keeps the file from being removed until it is disposed. A reader has one of its own, and so has each stream that it opens.
    /// </summary>
    public sealed class Lease(ValueFile file) : KvLargeValue
    {
        private int _isDisposed;

        public KvValueReference Reference => file.Reference;

        public override long Length => Reference.Length;

        public override Stream OpenStream()
        {
            var lease = file.TryLease() ?? throw new ObjectDisposedException(nameof(KvLargeValue));
            return ValueFileStream.Open(file.Storage, Reference, lease);
        }

        public override void Dispose()
        {
            if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
            {
                file.EndLease();
            }
        }
    }
}
