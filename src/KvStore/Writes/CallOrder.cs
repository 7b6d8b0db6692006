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
/// later and decided earlier overtakes it. An overtaken put is never made: it counts as made before the mutation that overtook it,
/// and completes with it. Where that mutation fails, the put is no longer overtaken. So a revision is only taken when a mutation
/// is decided, and the order of the log is the order of the revisions.</para>
/// <para>Nobody waits for a put that is pending: a stream may take hours, or never end.</para>
/// <para>Thread safety: <see cref="IsEmpty"/> from any thread; every other member only while holding <see cref="Lock"/>, under which
/// mutations are decided: by an append to the log, or where there is none by their publication.</para>
/// </remarks>
internal sealed class CallOrder
{
    // By the hash of the key; calls whose hashes are equal form a list.
    private readonly Dictionary<ulong, PendingCall> _pending = [];
    private long _lastNumber;
    private int _count;

    /// <summary>Held while a mutation is decided. A namespace in memory alone takes it only where calls are pending.</summary>
    public Lock Lock { get; } = new();

    /// <summary>Whether no call is pending, as seen by the thread that asks. A call that another thread begins now is a later one.</summary>
    public bool IsEmpty => Volatile.Read(ref _count) == 0;

    /// <summary>Begins a call. End it with <see cref="End"/>, whatever becomes of it.</summary>
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

    /// <summary>Ends a call, which was decided or will never be.</summary>
    public void End(PendingCall call)
    {
        lock (Lock)
        {
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

    /// <summary>Whether a mutation that is decided now overtakes a pending call of its key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="call">The call that is decided, where it was pending; null for one that was called just now.</param>
    public bool WouldOvertake<TKey>(in TKey key, PendingCall? call)
        where TKey : struct, IKey, allows ref struct
    {
        Debug.Assert(Lock.IsHeldByCurrentThread);
        for (var pending = FirstOf(key.Hash); pending is not null; pending = pending.Next)
        {
            if (pending.IsBefore(key, call))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Notes that all pending calls of a key before a mutation have been overtaken by it. Allocates nothing.</summary>
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

    /// <summary>Whether it is a call for a key before another one; null for one that is called now.</summary>
    public bool IsBefore<TKey>(in TKey key, PendingCall? call)
        where TKey : struct, IKey, allows ref struct =>
        (call is null || Number < call.Number) && Key.Length == key.Utf8Bytes && !key.DiffersFrom(in Key[0]);
}

/// <summary>A mutation that overtook pending calls, which wait for its outcome.</summary>
internal sealed class Overtaking
{
    private readonly TaskCompletionSource<bool> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>An outcome that is known: it was made.</summary>
    public static Overtaking Made { get; } = CreateMade();

    /// <summary>Whether it was made. Never fails.</summary>
    public Task<bool> Outcome => _outcome.Task;

    public void Complete(bool isMade) => _outcome.TrySetResult(isMade);

    private static Overtaking CreateMade()
    {
        var made = new Overtaking();
        made.Complete(isMade: true);
        return made;
    }
}
