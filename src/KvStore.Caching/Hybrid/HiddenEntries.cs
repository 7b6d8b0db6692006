using System.Collections.Concurrent;
using System.Text;

namespace KvStore.Hybrid;

/// <summary>Entries of the namespace that count as missing, because a write or a removal of their keys has failed.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class HiddenEntries
{
    // By keys of the namespace: entries up to a revision.
    private readonly ConcurrentDictionary<string, long> _revisions = new(StringComparer.Ordinal);
    private volatile bool _isUsed;

    /// <summary>Whether anything was ever hidden.</summary>
    public bool IsUsed => _isUsed;

    /// <summary>An entry counts as missing up to a revision.</summary>
    public void Add(string storeKey, long revision)
    {
        _revisions.AddOrUpdate(storeKey, revision, (_, before) => Math.Max(before, revision));
        _isUsed = true;
    }

    /// <summary>A key has an entry of a revision. What is hidden of the key is forgotten when it is older.</summary>
    public void Forget(string storeKey, long revision)
    {
        if (_isUsed && _revisions.TryGetValue(storeKey, out var hidden) && hidden < revision)
        {
            _revisions.TryRemove(KeyValuePair.Create(storeKey, hidden));
        }
    }

    /// <summary>Whether an entry counts as missing.</summary>
    public bool Contains(ReadOnlySpan<byte> utf8, long revision) =>
        _isUsed && _revisions.TryGetValue(Encoding.UTF8.GetString(utf8), out var hidden) && revision <= hidden;
}
