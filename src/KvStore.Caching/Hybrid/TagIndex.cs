using System.Diagnostics;
using System.Runtime.InteropServices;

namespace KvStore.Hybrid;

/// <summary>Which entries have a tag. Of an entry without tags it knows nothing.</summary>
/// <remarks>
/// <para>An entry of this cache is here before it is in the namespace (<see cref="Add"/>), and stays until the watch has shown its write or a
/// later change of its key. An entry from elsewhere, or from before a restart, is here when the watch has shown it. So a key that is found here
/// may not have the tag any more: the caller looks at the entry.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class TagIndex
{
    private readonly Lock _lock = new();

    // For each tag its keys, each with the number of reasons to be here.
    private readonly Dictionary<string, Dictionary<string, int>> _keys = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string[]> _shown = new(StringComparer.Ordinal);
    private readonly Queue<Written> _written = new();
    private long _shownThrough;
    private bool _isComplete;

    /// <summary>How many tags there are.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _keys.Count;
            }
        }
    }

    /// <summary>Notes an entry that is going to be written. Followed by <see cref="NoteWritten"/>.</summary>
    public void Add(string key, string[] tags)
    {
        lock (_lock)
        {
            AddHoldingLock(key, tags);
        }
    }

    /// <summary>Notes that the write of an entry has ended.</summary>
    /// <param name="key">The key.</param>
    /// <param name="tags">The tags that were given to <see cref="Add"/>.</param>
    /// <param name="revision">The revision of the key's entry after the write; 0 when it has none.</param>
    public void NoteWritten(string key, string[] tags, long revision)
    {
        lock (_lock)
        {
            if (revision <= _shownThrough)
            {
                RemoveHoldingLock(key, tags);
            }
            else
            {
                _written.Enqueue(new Written(key, tags, revision));
            }
        }
    }

    /// <summary>The watch shows an entry.</summary>
    /// <param name="key">The key.</param>
    /// <param name="tags">Its tags; empty for none.</param>
    public void NoteShown(string key, string[] tags)
    {
        lock (_lock)
        {
            if (_shown.Remove(key, out var before))
            {
                RemoveHoldingLock(key, before);
            }

            if (tags.Length > 0)
            {
                _shown.Add(key, tags);
                AddHoldingLock(key, tags);
            }
        }
    }

    /// <summary>The watch has shown every change up to a revision, or a later change of the same key is going to be shown.</summary>
    public void NoteShownThrough(long revision)
    {
        lock (_lock)
        {
            _shownThrough = Math.Max(_shownThrough, revision);
            while (_written.TryPeek(out var first) && first.Revision <= _shownThrough)
            {
                _written.Dequeue();
                RemoveHoldingLock(first.Key, first.Tags);
            }
        }
    }

    /// <summary>The watch has shown every entry that was there when it began.</summary>
    public void Complete()
    {
        lock (_lock)
        {
            _isComplete = true;
        }
    }

    /// <summary>The watch begins anew, or has ended: what was shown may be wrong.</summary>
    public void Forget()
    {
        lock (_lock)
        {
            _isComplete = false;
            foreach (var (key, shown) in _shown)
            {
                RemoveHoldingLock(key, shown);
            }

            _shown.Clear();
        }
    }

    /// <summary>The keys that may have one of some tags.</summary>
    /// <returns>False while the index is not complete: then look at all entries.</returns>
    public bool TryFind(IReadOnlyCollection<string> tags, out HashSet<string> keys)
    {
        keys = new HashSet<string>(StringComparer.Ordinal);
        lock (_lock)
        {
            foreach (var tag in tags)
            {
                if (_keys.TryGetValue(tag, out var tagged))
                {
                    keys.UnionWith(tagged.Keys);
                }
            }

            return _isComplete;
        }
    }

    private void AddHoldingLock(string key, string[] tags)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        foreach (var tag in tags)
        {
            ref var keys = ref CollectionsMarshal.GetValueRefOrAddDefault(_keys, tag, out _);
            keys ??= new Dictionary<string, int>(1, StringComparer.Ordinal);
            CollectionsMarshal.GetValueRefOrAddDefault(keys, key, out _)++;
        }
    }

    private void RemoveHoldingLock(string key, string[] tags)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        foreach (var tag in tags)
        {
            var keys = _keys[tag];
            ref var reasons = ref CollectionsMarshal.GetValueRefOrNullRef(keys, key);
            Debug.Assert(reasons > 0, "What is removed was added.");
            if (--reasons == 0)
            {
                keys.Remove(key);
                if (keys.Count == 0)
                {
                    _keys.Remove(tag);
                }
            }
        }
    }

    private readonly record struct Written(string Key, string[] Tags, long Revision);
}
