using System.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>A list of callers, linked through themselves, so that moving them allocates nothing.</summary>
/// <remarks>Not thread-safe: it belongs to <see cref="CommitQueue"/>. A caller is in one list at a time.</remarks>
internal sealed class PendingAppendList
{
    private PendingAppend? _last;

    /// <summary>The first caller; null when there is none.</summary>
    public PendingAppend? First { get; private set; }

    public bool IsEmpty => First is null;

    /// <summary>Adds a caller, and those that follow it, at the end.</summary>
    public void Add(PendingAppend? first)
    {
        if (first is null)
        {
            return;
        }

        if (First is null)
        {
            First = first;
        }
        else
        {
            Debug.Assert(_last is { Next: null }, "The last caller has none behind it.");
            _last!.Next = first;
        }

        for (var pending = first; pending is not null; pending = pending.Next)
        {
            _last = pending;
        }
    }

    /// <summary>Takes the first caller.</summary>
    public PendingAppend? TakeFirst()
    {
        if (First is not { } first)
        {
            return null;
        }

        First = first.Next;
        first.Next = null;
        return first;
    }

    /// <summary>Takes all callers, as a list that begins with the one that is returned.</summary>
    public PendingAppend? TakeAll()
    {
        var first = First;
        First = null;
        return first;
    }
}
