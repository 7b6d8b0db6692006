using System.Diagnostics;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// The file <c>spare</c>: a log that is not needed any more, kept to become the next one. The only owner of that name.
/// </summary>
/// <remarks>
/// Compaction offers a file or drops it, the writer of the log takes it, each at any time. What is taken has the name of its
/// taker before <see cref="TryTake"/> returns, so that no other call can find, replace or remove it.
/// Thread safety: all members, from any thread.
/// </remarks>
internal sealed class SpareLog
{
    private readonly IStorage _storage;
    private readonly Lock _lock = new();
    private readonly bool _isForeign;
    private bool _exists;

    /// <summary>Requires: what a crash left of renames is settled, so the directory has been flushed since it was opened.</summary>
    /// <param name="storage">The directory.</param>
    /// <param name="directory">Its identity: a file of somebody else that has the name is left alone, and no spare is kept.</param>
    public SpareLog(IStorage storage, Guid directory)
    {
        _storage = storage;
        _exists = FileHeader.IsOwnSpare(storage, directory);
        _isForeign = !_exists && storage.Exists(FileNames.Spare);
    }

    /// <summary>Whether there is a spare.</summary>
    public bool Exists
    {
        get
        {
            lock (_lock)
            {
                return _exists;
            }
        }
    }

    /// <summary>Renames a log that is not needed any more to the spare, unless there is one.</summary>
    /// <returns>Whether it was taken; otherwise the caller deletes it.</returns>
    /// <remarks>It can be taken after <see cref="Commit"/>: until then its old name might come back, with a new content.</remarks>
    public bool TryOffer(string name)
    {
        lock (_lock)
        {
            if (_isForeign || _exists || IsOffered)
            {
                return false;
            }

            _storage.Rename(name, FileNames.Spare);
            IsOffered = true;
            return true;
        }
    }

    /// <summary>The directory was flushed after the offer: the spare may be used.</summary>
    public void Commit()
    {
        lock (_lock)
        {
            _exists |= IsOffered;
            IsOffered = false;
        }
    }

    /// <summary>Renames the spare to a name that only the caller uses.</summary>
    /// <returns>Whether there was one.</returns>
    public bool TryTake(string name)
    {
        Debug.Assert(FileNames.IsTemporary(name), "What is taken is not complete yet.");
        lock (_lock)
        {
            if (!_exists)
            {
                return false;
            }

            _storage.Rename(FileNames.Spare, name);
            _exists = false;
            return true;
        }
    }

    /// <summary>Deletes the spare, if there is one.</summary>
    public void Drop()
    {
        lock (_lock)
        {
            if (_isForeign)
            {
                return;
            }

            _storage.Delete(FileNames.Spare);
            _exists = false;
            IsOffered = false;
        }
    }

    private bool IsOffered { get; set; }
}
