using System.Diagnostics;
using System.Runtime.InteropServices;
using KvStore.Keys;

namespace KvStore.Memory;

/// <summary>
/// Mutations and removals that become visible at one moment: they are written beside what readers see, and swapped in at the end.
/// </summary>
/// <remarks>
/// <para>The highest revision of a key wins here too: what is older than the state at the moment of the swap changes nothing.</para>
/// <para>Not thread-safe, but any number of readers and writers may use the store meanwhile.</para>
/// </remarks>
internal sealed class StateSwap(ShardedStore store) : IDisposable
{
    private readonly MutationDrafts _drafts = new(store);
    private readonly List<StagedMutation> _mutations = [];
    private readonly List<StagedRemoval> _removals = [];
    private bool _isOver;

    /// <summary>Adds a mutation with the revision that was given elsewhere. Its memory is copied.</summary>
    public void Add(in KvMutation mutation)
    {
        ObjectDisposedException.ThrowIf(_isOver, this);
        Debug.Assert(store.ExpectsLate, "An older put would bring a deleted key back.");
        _mutations.EnsureCapacity(_mutations.Count + 1);
        _mutations.Add(new StagedMutation { Draft = _drafts.Draft(mutation), Hash = KeyHash.OfUtf8(mutation.Key.Span) });
    }

    /// <summary>Adds the removal of a key without a mutation, unless it has a revision above another one.</summary>
    public void Remove(ReadOnlySpan<byte> key, long throughRevision)
    {
        ObjectDisposedException.ThrowIf(_isOver, this);
        _removals.Add(new StagedRemoval { Key = key.ToArray(), Hash = KeyHash.OfUtf8(key), ThroughRevision = throughRevision });
    }

    /// <summary>Makes everything visible that was added, at one moment.</summary>
    /// <exception cref="OutOfMemoryException">Nothing has changed.</exception>
    /// <exception cref="ObjectDisposedException">The namespace is disposed.</exception>
    public void Complete()
    {
        ObjectDisposedException.ThrowIf(_isOver, this);
        _drafts.Seal();
        store.Swap(CollectionsMarshal.AsSpan(_mutations), CollectionsMarshal.AsSpan(_removals));
        _isOver = true;
    }

    /// <summary>Forgets what was added, if it was not made visible.</summary>
    public void Dispose()
    {
        if (_isOver)
        {
            return;
        }

        _isOver = true;
        _drafts.Seal();
        foreach (ref readonly var mutation in CollectionsMarshal.AsSpan(_mutations))
        {
            store.Abandon(mutation.Draft);
        }
    }
}
