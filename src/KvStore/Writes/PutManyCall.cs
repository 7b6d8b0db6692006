using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Text;
using KvStore.Keys;
using KvStore.Replication;
using KvStore.Rules;

namespace KvStore.Writes;

/// <summary>One call that puts many entries, in their order.</summary>
/// <remarks>
/// <para>Texts and bytes are drafted and committed a group at a time, and the groups are as large as they can be: the provider makes each
/// durable with one flush. Until something has to be waited for, everything is decided in the call. Then the rest of the entries become
/// pending calls, all at once and still in the call, so that a write which the caller makes afterwards is the later one
/// (<see cref="CallOrder"/>).</para>
/// <para>A group is waited for before the next one is drafted, so the memory of what waits for the disk is bounded, and after a failure
/// nothing more is written.</para>
/// <para>Not thread-safe: it is one call.</para>
/// </remarks>
internal sealed class PutManyCall(
    KvLimits limits, WritePath writes, CommitPath commit, ReadOnlyMemory<KvEntry> entries, DateTimeOffset checkedAt, RegionView? origin, CancellationToken cancellationToken)
{
    private const int PrefetchedKeys = 32;

    private readonly int _groupEntriesMax = commit.GroupEntriesMax;
    private readonly long _groupBytesMax = commit.GroupBytesMax;
    private readonly WriteGroup _group = new(Math.Min(entries.Length, commit.GroupEntriesMax));
    private ReadOnlyMemory<KvEntry> _entries = entries;

    // The pending calls of the entries, from the first one that was not decided in the call.
    private PendingCall?[]? _calls;
    private int _next;
    private int _ended;
    private int _written;
    private Exception? _failure;

    // The entry that is worked on, which failed when something does.
    private int _current;

    /// <summary>Puts the entries, which were checked.</summary>
    public ValueTask RunAsync()
    {
        try
        {
            while (_next < _entries.Length && IsSmall(_entries.Span[_next]) && _group.Waiting.Count == 0)
            {
                CommitGroup();
            }
        }
        catch (Exception e)
        {
            _failure = e;
        }

        return _failure is null && _next == _entries.Length && _group.Waiting.Count == 0 ? default : FinishAsync();
    }

    private bool IsSmall(in KvEntry entry) => !entry.Content.IsStreamed && !commit.IsLarge(PutManyCheck.ValueBytesOf(entry.Content));

    private async ValueTask FinishAsync()
    {
        try
        {
            if (_failure is null && _next < _entries.Length)
            {
                BeginCalls();
            }

            while (await CompleteGroupAsync().ConfigureAwait(false) && _next < _entries.Length)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (IsSmall(_entries.Span[_next]))
                {
                    CommitGroup();
                }
                else
                {
                    await PutAloneAsync().ConfigureAwait(false);
                }
            }
        }
        catch (Exception e)
        {
            _failure = e;
            await CompleteGroupAsync().ConfigureAwait(false);
        }
        finally
        {
            EndCalls(_entries.Length);
        }

        if (_failure is not null)
        {
            ExceptionDispatchInfo.Throw(
                NamedMany.WithEntry(_failure, _current, _entries.Span[_current].Key, NamedMany.Some(_written, _entries.Length, "written")));
        }
    }

    // Drafts the next entries that are neither streams nor large, and commits them.
    private void CommitGroup()
    {
        _group.Clear();
        try
        {
            Draft();
        }
        catch when (_group.Count > 0)
        {
            // The entries before this one are written. Then it is the first of a group, and fails again if it must.
        }

        _next += _group.Count;
        try
        {
            commit.Commit(_group);
        }
        catch
        {
            _current = _group.Items[_group.Committed].Entry;
            throw;
        }
        finally
        {
            // Those that wait are counted when they have completed.
            _written += _group.Committed - _group.Waiting.Count;
        }
    }

    private void Draft()
    {
        var rest = _entries.Span[_next..];
        for (var i = 0; i < rest.Length && _group.Count < _groupEntriesMax && _group.Bytes < _groupBytesMax && IsSmall(rest[i]); i++)
        {
            _current = _next + i;
            if (i % PrefetchedKeys == 0)
            {
                Prefetch(rest.Slice(i, Math.Min(PrefetchedKeys, rest.Length - i)));
            }

            Draft(_current, rest[i]);
        }
    }

    private void Draft(int number, in KvEntry entry)
    {
        var (deadline, metadata) = writes.CheckedOptionsOf(entry.Key, entry.Options, checkedAt);
        var call = _calls?[number];
        if (KeyRules.TryAscii(entry.Key, limits.KeyBytesMax, out var hash))
        {
            commit.AddPut(_group, number, new AsciiKey(entry.Key, hash), entry.Content, metadata, deadline, origin, call);
            return;
        }

        using var encoded = new EncodedKey(entry.Key, limits.KeyBytesMax, "PUT", stackalloc byte[EncodedKey.StackBytes]);
        commit.AddPut(_group, number, encoded.Key, entry.Content, metadata, deadline, origin, call);
    }

    private void Prefetch(ReadOnlySpan<KvEntry> some)
    {
        foreach (ref readonly var entry in some)
        {
            if (KeyRules.TryAscii(entry.Key, limits.KeyBytesMax, out var hash))
            {
                commit.Prefetch(hash);
            }
        }
    }

    // Waits for what was committed. Returns whether all goes well.
    private async ValueTask<bool> CompleteGroupAsync()
    {
        // From the last one back: when that has completed, most others have, and their results are there.
        var waiting = _group.Waiting;
        for (var i = waiting.Count - 1; i >= 0; i--)
        {
            try
            {
                await waiting[i].Done.ConfigureAwait(false);
                _written++;
            }
            catch (Exception e)
            {
                // The first of the group counts.
                _failure = e;
                _current = waiting[i].Entry;
            }
        }

        waiting.Clear();
        EndCalls(_next);
        return _failure is null;
    }

    private async ValueTask PutAloneAsync()
    {
        _current = _next;
        var entry = _entries.Span[_next];
        var (deadline, metadata) = writes.CheckedOptionsOf(entry.Key, entry.Options, checkedAt);
        await commit.PutInTurnAsync(
            _calls![_next]!, entry.Content, metadata, writes.DeadlineAtEnd(entry.Key, entry.Options, deadline), origin, cancellationToken).ConfigureAwait(false);
        _next++;
        _written++;
    }

    private void BeginCalls()
    {
        _current = _next;

        // The caller may change its array from now on.
        _entries = _entries.ToArray();
        _calls = new PendingCall?[_entries.Length];
        for (var i = _next; i < _calls.Length; i++)
        {
            _calls[i] = commit.Begin(Encoding.UTF8.GetBytes(_entries.Span[i].Key));
        }
    }

    // Ends the calls of the entries before one of them.
    private void EndCalls(int end)
    {
        Debug.Assert(end <= _entries.Length);
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
