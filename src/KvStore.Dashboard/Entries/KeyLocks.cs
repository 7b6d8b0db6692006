namespace KvStore.Dashboard.Entries;

/// <summary>
/// Locks a key while a form compares the entry with the one that was edited, and puts it. Only changes through this dashboard take
/// the lock. Thread safety: all members, from any thread.
/// </summary>
internal sealed class KeyLocks
{
    private readonly SemaphoreSlim[] _locks = [.. Enumerable.Range(0, 64).Select(_ => new SemaphoreSlim(1, 1))];

    public async ValueTask<Held> LockAsync(string id, string key, CancellationToken cancellationToken)
    {
        var keyLock = _locks[(uint)HashCode.Combine(id, key) % _locks.Length];
        await keyLock.WaitAsync(cancellationToken).ConfigureAwait(false);
        return new Held(keyLock);
    }

    internal readonly struct Held(SemaphoreSlim keyLock) : IDisposable
    {
        public void Dispose() => keyLock.Release();
    }
}
