namespace KvStore.Persistence.Log;

/// <summary>
/// One large value on disk and those who hold it. It is removed when it is no longer referred to, what replaced it is
/// durable, and nobody holds it.
/// </summary>
internal sealed class ValueFile(ValueFiles owner, KvValueReference reference)
{
    private readonly Lock _gate = new();
    private int _holders;
    private bool _isReleased;
    private bool _isRemovable;
    private bool _isRemoved;

    public KvValueReference Reference => reference;

    /// <summary>The next file in the list of released ones. Belongs to the owner.</summary>
    public ValueFile? NextReleased { get; set; }

    /// <summary>Holds the file until the lease is disposed, or collected.</summary>
    public Lease? TryHold()
    {
        lock (_gate)
        {
            if (_isRemoved)
            {
                return null;
            }

            _holders++;
            return new Lease(this);
        }
    }

    /// <summary>Nothing refers to it any more.</summary>
    /// <returns>Whether that is new.</returns>
    public bool TryRelease()
    {
        lock (_gate)
        {
            var isNew = !_isReleased;
            _isReleased = true;
            return isNew;
        }
    }

    /// <summary>What replaced it is durable.</summary>
    public void AllowRemoval()
    {
        bool removes;
        lock (_gate)
        {
            _isRemovable = true;
            removes = _holders == 0 && !_isRemoved;
            _isRemoved |= removes;
        }

        if (removes)
        {
            owner.Remove(this);
        }
    }

    private void Leave()
    {
        bool removes;
        lock (_gate)
        {
            _holders--;
            removes = _isRemovable && _holders == 0 && !_isRemoved;
            _isRemoved |= removes;
        }

        if (removes)
        {
            // Not here: this may be the thread of the finalizers.
            ThreadPool.UnsafeQueueUserWorkItem(static file => file.Remove(), this, preferLocal: false);
        }
    }

    private void Remove() => owner.Remove(this);

    /// <summary>Keeps a file from being removed.</summary>
    public sealed class Lease(ValueFile file) : IDisposable
    {
        private int _isDisposed;

        ~Lease() => Leave();

        public ValueFile File => file;

        public void Dispose()
        {
            Leave();
            GC.SuppressFinalize(this);
        }

        private void Leave()
        {
            if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
            {
                file.Leave();
            }
        }
    }
}
