using System.Diagnostics;
using System.Runtime.ExceptionServices;

namespace KvStore.Writes;

/// <summary>One call that writes many entries, in their order.</summary>
/// <remarks>
/// <para>Entries are drafted and committed a group at a time, and the groups are as large as they can be: the provider makes each durable
/// with one flush. Until something has to be waited for, everything is decided in the call. Then the rest of the entries become pending
/// calls, all at once and still in the call, so that a write which the caller makes afterwards is the later one
/// (<see cref="CallOrder"/>).</para>
/// <para>A group is waited for before the next one is drafted, so the memory of what waits for the disk is bounded, and after a failure
/// nothing more is written. An engine outside the process gets the next group before that, so that both sides have work all the
/// time: it makes no write of the call after one that failed.</para>
/// <para>Not thread-safe: it is one call.</para>
/// </remarks>
/// <param name="commit">Commits the groups.</param>
/// <param name="count">The number of entries, which were checked.</param>
/// <param name="done">What was done with an entry, for messages: written or deleted.</param>
/// <param name="cancellationToken">Ends the call where it waits.</param>
internal abstract class ManyCall(CommitPath commit, int count, string done, CancellationToken cancellationToken)
{
    private const int PrefetchedKeys = 32;

    private readonly int _groupEntriesMax = commit.GroupEntriesMax;
    private readonly long _groupBytesMax = commit.GroupBytesMax;
    private readonly KvEngineGroup? _atEngine = commit.IsAhead ? new KvEngineGroup() : null;
    private WriteGroup? _groupIfAny;

    // The group before, which waits as well; only with an engine.
    private WriteGroup? _before;

    // The first entry behind that group.
    private int _nextBefore;

    // The pending calls of the entries, from the first one that was not decided in the call.
    private PendingCall?[]? _calls;
    private int _next;
    private int _ended;
    private int _done;
    private Exception? _failure;

    // The entry that is worked on, which failed when something does.
    private int _current;

    protected CommitPath Commit => commit;

    // Made when it is needed.
    private WriteGroup Group => _groupIfAny ??= NewGroup();

    /// <summary>Writes the entries.</summary>
    protected ValueTask RunAsync()
    {
        try
        {
            while (_next < count && IsInGroup(_next) && !IsWaiting)
            {
                CommitGroup();
            }
        }
        catch (Exception e)
        {
            _failure = e;
        }

        return _failure is null && _next == count && !IsWaiting ? default : FinishAsync();
    }

    /// <summary>The first entries were written in another way.</summary>
    protected void NoteDone(int entries)
    {
        Debug.Assert(_next == 0, "Nothing was written before.");
        _next = _done = _ended = entries;
    }

    /// <summary>The number of an entry in the caller's collection, for messages.</summary>
    protected virtual int NumberOf(int number) => number;

    /// <summary>The key of an entry, for messages.</summary>
    protected abstract string KeyOf(int number);

    /// <summary>The key of an entry in UTF-8.</summary>
    protected abstract byte[] Utf8KeyOf(int number);

    /// <summary>Whether an entry is committed with others, and nothing has to be waited for before.</summary>
    protected abstract bool IsInGroup(int number);

    /// <summary>Fetches what drafting and committing an entry will look for.</summary>
    protected abstract void Prefetch(int number);

    /// <summary>Drafts an entry and adds it to a group.</summary>
    protected abstract void Draft(WriteGroup group, int number, PendingCall? call);

    /// <summary>Commits an entry that is in no group.</summary>
    protected virtual ValueTask CommitAloneAsync(int number, PendingCall call, CancellationToken cancellationToken) =>
        throw new InvalidOperationException("Every entry is in a group.");

    /// <summary>Something has to be waited for: the caller may change its collection from now on.</summary>
    protected virtual void CopyEntries()
    {
    }

    /// <summary>A group was written: all of it is visible.</summary>
    protected virtual void OnWritten(WriteGroup group)
    {
    }

    private bool IsWaiting => _groupIfAny is { Waiting.Count: > 0 };

    private async ValueTask FinishAsync()
    {
        try
        {
            if (_failure is null && _next < count)
            {
                BeginCalls();
            }

            while (await CompleteGroupAsync().ConfigureAwait(false) && _next < count)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (IsInGroup(_next))
                {
                    CommitGroup();
                    continue;
                }

                if (!await CompleteAllAsync().ConfigureAwait(false))
                {
                    break;
                }

                _current = _next;
                await CommitAloneAsync(_next, _calls![_next]!, cancellationToken).ConfigureAwait(false);
                _next++;
                _done++;
            }

            await CompleteAllAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            _failure = e;
            await CompleteAllAsync().ConfigureAwait(false);
        }
        finally
        {
            EndCalls(count);
        }

        if (_failure is not null)
        {
            ExceptionDispatchInfo.Throw(NamedMany.WithEntry(_failure, NumberOf(_current), KeyOf(_current), NamedMany.Some(_done, count, done)));
        }
    }

    // Drafts the next entries and commits them.
    private void CommitGroup()
    {
        Group.Clear();
        try
        {
            DraftGroup();
        }
        catch when (Group.Count > 0)
        {
            // The entries before this one are written. Then it is the first of a group, and fails again if it must.
        }

        _next += Group.Count;
        try
        {
            commit.Commit(Group);
        }
        catch
        {
            _current = Group.Items[Group.Committed].Entry;
            throw;
        }
        finally
        {
            // Those that wait are counted when they have completed.
            _done += Group.Committed - Group.Waiting.Count;
        }

        if (Group.Waiting.Count == 0)
        {
            OnWritten(Group);
            Group.Clear();
        }
    }

    private void DraftGroup()
    {
        for (var i = _next; i < count && Group.Count < _groupEntriesMax && Group.Bytes < _groupBytesMax && IsInGroup(i); i++)
        {
            _current = i;
            if ((i - _next) % PrefetchedKeys == 0)
            {
                for (var ahead = i; ahead < Math.Min(i + PrefetchedKeys, count); ahead++)
                {
                    Prefetch(ahead);
                }
            }

            Draft(Group, i, _calls?[i]);
        }
    }

    private WriteGroup NewGroup() => new(Math.Min(count, _groupEntriesMax)) { AtEngine = _atEngine };

    // Waits for what was committed; with an engine, for the group before that alone. Returns whether all goes well.
    private async ValueTask<bool> CompleteGroupAsync()
    {
        if (_atEngine is null)
        {
            return await CompleteAsync(Group, _next).ConfigureAwait(false);
        }

        if (_before is not { } before)
        {
            (_before, _groupIfAny, _nextBefore) = (Group, null, _next);
            return _failure is null;
        }

        if (!await CompleteAsync(before, _nextBefore).ConfigureAwait(false))
        {
            return false;
        }

        // Its memory is used again.
        (_before, _groupIfAny, _nextBefore) = (Group, before, _next);
        return true;
    }

    private async ValueTask<bool> CompleteAllAsync()
    {
        if (_before is { } before)
        {
            _before = null;
            await CompleteAsync(before, _nextBefore).ConfigureAwait(false);
        }

        return await CompleteAsync(Group, _next).ConfigureAwait(false);
    }

    private async ValueTask<bool> CompleteAsync(WriteGroup group, int next)
    {
        // From the last one back: when that has completed, most others have, and their results are there.
        var waiting = group.Waiting;
        for (var i = waiting.Count - 1; i >= 0; i--)
        {
            try
            {
                await waiting[i].Done.ConfigureAwait(false);
                _done++;
            }
            catch (Exception e)
            {
                // The first of the call counts.
                if (_failure is null || waiting[i].Entry <= _current)
                {
                    (_failure, _current) = (e, waiting[i].Entry);
                }
            }
        }

        waiting.Clear();
        EndCalls(next);
        if (_failure is null)
        {
            OnWritten(group);
            group.Clear();
        }

        return _failure is null;
    }

    private void BeginCalls()
    {
        _current = _next;
        CopyEntries();
        _calls = new PendingCall?[count];
        for (var i = _next; i < count; i++)
        {
            _calls[i] = commit.Begin(Utf8KeyOf(i));
        }
    }

    // Ends the calls of the entries before one of them.
    private void EndCalls(int end)
    {
        Debug.Assert(end <= count);
        for (; _ended < end && _calls is not null; _ended++)
        {
            if (_calls[_ended] is { } call)
            {
                _calls[_ended] = null;
                commit.End(call);
            }
        }
    }
}
