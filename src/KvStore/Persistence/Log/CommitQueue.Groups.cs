using System.Diagnostics;

namespace KvStore.Persistence.Log;

/// <content>Groups: mutations that one caller appends, and that are written together.</content>
internal partial class CommitQueue
{
    // How many callers are appending a group. Nothing begins to be written meanwhile.
    private int _groups;

    // One of them has ended. No group begins until the others have ended too, because groups that overlap for ever would put off the
    // write for ever.
    private bool _hasGroupEnded;

    /// <summary>A caller appends many mutations now, which are written together.</summary>
    /// <returns>Whether <see cref="EndGroup"/> follows soon, whatever happens. Otherwise a write that is due does not wait for the caller.</returns>
    public bool TryBeginGroup()
    {
        _groups += _hasGroupEnded ? 0 : 1;
        return !_hasGroupEnded;
    }

    /// <summary>The caller has appended its group. Allocates nothing.</summary>
    public Call EndGroup()
    {
        Debug.Assert(_groups > 0, "A group ends once.");
        _groups--;
        _hasGroupEnded = _groups > 0;
        return TryStart();
    }

    // A worker that was called before a group began takes nothing until the group has ended: a group is in one batch, so that of a group
    // whose write fails the first records are kept, and none after them. The end of the group calls a worker again.
    private void GiveWayToGroups()
    {
        if (_writer == Writer.Wanted && _groups > 0)
        {
            _writer = Writer.None;
        }
    }
}
