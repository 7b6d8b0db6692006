using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Keys;

namespace KvStore.Writes;

/// <summary>
/// Keeps the order of the calls where a put takes its time: of two mutations of a key, the one called later wins, also when the
/// earlier one is a large value or a stream whose bytes are still being read.
/// </summary>
/// <remarks>
/// <para>Such a put is a <see cref="PendingCall"/> from its call until it is decided. A mutation of the same key that is called
/// later and decided earlier overtakes it. A put that was overtaken is never made: it counts as made before the mutation that overtook
/// it, and completes with that mutation. When that mutation fails, the put is no longer overtaken. So a revision is only taken when a
/// mutation is decided, and the order of the log is the order of the revisions.</para>
/// <para>Nothing waits for a pending put: a stream may take hours, or never end.</para>
/// <para>Thread safety: <see cref="IsEmpty"/> from any thread; every other member only while holding <see cref="Lock"/>, under which
/// mutations are decided (<see cref="Committer"/>). <see cref="Begin"/> and <see cref="End"/> take the lock themselves.</para>
/// </remarks>
internal sealed class CallOrder
{
    // By the hash of the key; calls whose hashes are equal form a list.
    private readonly Dictionary<ulong, PendingCall> _pending = [];
    private long _lastNumber;
    private int _count;

    /// <summary>Held while a mutation is decided.</summary>
    public Lock Lock { get; } = new();

    /// <summary>Whether no call is pending, as seen by this thread. A call that another thread begins now is a later one.</summary>
    public bool IsEmpty => Volatile.Read(ref _count) == 0;

    /// <summary>Begins a call. Call <see cref="End"/> afterwards, whether it succeeds or fails.</summary>
    public PendingCall Begin(byte[] key)
    {
        var hash = KeyHash.OfUtf8(key);
        AllocationProbe.Before();
        var call = new PendingCall(key, hash);
        lock (Lock)
        {
            AllocationProbe.Before();
            call.Next = _pending.GetValueOrDefault(hash);
            _pending[hash] = call;
            call.Number = ++_lastNumber;
            Volatile.Write(ref _count, _count + 1);
        }

        return call;
    }

    /// <summary>Ends a call that was decided, or that never will be.</summary>
    public void End(PendingCall call)
    {
        lock (Lock)
        {
            Debug.Assert(_count > 0 && _pending.ContainsKey(call.Hash), "A call ends once.");
            var first = _pending[call.Hash];
            if (first == call)
            {
                if (call.Next is { } next)
                {
                    _pending[call.Hash] = next;
                }
                else
                {
                    _pending.Remove(call.Hash);
                }
            }
            else
            {
                while (first.Next != call)
                {
                    first = first.Next!;
                }

                first.Next = call.Next;
            }

            Volatile.Write(ref _count, _count - 1);
        }
    }

    /// <summary>Takes the memory for <see cref="Overtake"/> by a mutation whose outcome is not known yet.</summary>
    /// <param name="key">The key.</param>
    /// <param name="call">The call that is decided, when it was pending; null for a mutation that is called just now.</param>
    /// <returns>Null when the mutation overtakes no pending call of its key.</returns>
    public Overtaking? PrepareOvertaking<TKey>(in TKey key, PendingCall? call)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        for (var pending = FirstOf(key.Hash); pending is not null; pending = pending.Next)
        {
            if (pending.IsBefore(key, call))
            {
                AllocationProbe.Before();
                return new Overtaking();
            }
        }

        return null;
    }

    /// <summary>Notes that a mutation overtakes all pending calls of its key that began before it. Allocates nothing.</summary>
    public void Overtake<TKey>(in TKey key, PendingCall? call, Overtaking overtaking)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        for (var pending = FirstOf(key.Hash); pending is not null; pending = pending.Next)
        {
            if (pending.IsBefore(key, call))
            {
                pending.OvertakenBy = overtaking;
            }
        }
    }

    private PendingCall? FirstOf(ulong hash) => _pending.TryGetValue(hash, out var first) ? first : null;
}

/// <summary>A put whose value is still being read, in the order of the calls. See <see cref="CallOrder"/>.</summary>
internal sealed class PendingCall(byte[] key, ulong hash)
{
    /// <summary>The key in UTF-8.</summary>
    public byte[] Key { get; } = key;

    public ulong Hash { get; } = hash;

    /// <summary>Its place in the order of the pending calls.</summary>
    public long Number { get; set; }

    /// <summary>The next call with the same hash.</summary>
    public PendingCall? Next { get; set; }

    /// <summary>The last mutation that overtook it; null when none did, or when that mutation failed.</summary>
    public Overtaking? OvertakenBy { get; set; }

    /// <summary>Whether this is a call for a key that began before another one; null for a mutation that is called now.</summary>
    public bool IsBefore<TKey>(in TKey key, PendingCall? call)
        where TKey : struct, IKey, allows ref struct =>
        (call is null || Number < call.Number) && Key.Length == key.Utf8Bytes && !key.DiffersFrom(in Key[0]);
}

/// <summary>A mutation that overtook pending calls, which wait for its outcome.</summary>
internal sealed class Overtaking
{
    // Continuations never run where the outcome is set, which may be under a lock.
    private readonly TaskCompletionSource<bool> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The outcome of a mutation that was made already.</summary>
    public static Overtaking Made { get; } = CreateMade();

    /// <summary>Whether the mutation was made. Never fails.</summary>
    public Task<bool> Outcome => _outcome.Task;

    /// <summary>Sets the outcome. Throws nothing: by now the mutation is made, or not.</summary>
    public void Complete(bool isMade)
    {
        try
        {
            _outcome.TrySetResult(isMade);
        }
        catch (OutOfMemoryException)
        {
            // The task has completed. Its continuations could not be handed to the thread pool.
        }
    }

    private static Overtaking CreateMade()
    {
        var made = new Overtaking();
        made.Complete(isMade: true);
        return made;
    }
}
