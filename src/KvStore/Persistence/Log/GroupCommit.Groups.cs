namespace KvStore.Persistence.Log;

/// <content>Groups: mutations that one caller appends, and that are written together.</content>
internal sealed partial class GroupCommit
{
    /// <summary>A caller appends many mutations now. See <see cref="IKvPersistence.BeginGroup"/>. Allocates nothing.</summary>
    public IDisposable? BeginGroup()
    {
        lock (_lock)
        {
            return _queue.TryBeginGroup() ? _group : null;
        }
    }

    private void EndGroup()
    {
        CommitQueue.Call call;
        lock (_lock)
        {
            call = _queue.EndGroup();
        }

        Do(call);
    }

    /// <summary>Ends a group. One object for all groups: which one ends makes no difference.</summary>
    private sealed class Group(GroupCommit log) : IDisposable
    {
        public void Dispose() => log.EndGroup();
    }
}
