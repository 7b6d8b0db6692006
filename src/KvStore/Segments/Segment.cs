namespace KvStore.Segments;

/// <summary>
/// One array of memory to which records are appended, and what is known about them.
/// </summary>
/// <remarks>
/// <para>Any thread may reserve room and settle what it reserved. A record is settled once it is published or dead; from
/// then on nobody writes to it (but for its dead bit). A segment may be walked when it is sealed and everything in it is
/// settled: then each record is either live or dead.</para>
/// <para>The array is never used again: when no record in it lives the segment is dropped, and the garbage collector frees
/// the array with the last view on it.</para>
/// </remarks>
internal sealed class Segment(int id, int capacityBytes)
{
    private const int Sealed = int.MaxValue;

    private int _tail;
    private int _end;
    private int _settledBytes;
    private int _deadBytes;
    private uint _nextDeadline = uint.MaxValue;

    /// <summary>The number by which addresses name the segment. Set before another thread can see the segment.</summary>
    public int Id { get; set; } = id;

    /// <summary>Where the segment stands for eviction. Set before another thread can see the segment; later only by eviction.</summary>
    public SegmentQueue Queue { get; set; }

    /// <summary>The place in its queue: segments with lower numbers leave first. Set as <see cref="Queue"/> is.</summary>
    public long Order { get; set; }

    /// <summary>The memory. Not zeroed: every byte below the tail is written before anyone can see it.</summary>
    public byte[] Bytes { get; } = GC.AllocateUninitializedArray<byte>(capacityBytes);

    /// <summary>The bytes of records that nothing points at any more, and, once sealed, those that were never used.</summary>
    public int DeadBytes => Volatile.Read(ref _deadBytes);

    /// <summary>The bytes that dead and live records share: those handed out so far, and, once sealed, all.</summary>
    public int UsedBytes => Volatile.Read(ref _tail) is var tail && tail == Sealed ? Bytes.Length : tail;

    /// <summary>Where the last record of a sealed segment ends.</summary>
    public int EndBytes => _end;

    /// <summary>No live record in here expires before this second; <see cref="uint.MaxValue"/> when none expires.</summary>
    public uint NextDeadline => Volatile.Read(ref _nextDeadline);

    /// <summary>Whether no more records will come.</summary>
    public bool IsSealed => Volatile.Read(ref _tail) == Sealed;

    /// <summary>Whether every record in here is either live or dead, and no more will come.</summary>
    public bool IsSettled => Volatile.Read(ref _tail) == Sealed && Volatile.Read(ref _settledBytes) == _end;

    /// <summary>Whether there is room for a record, as of now.</summary>
    public bool HasRoom(int bytes) => Volatile.Read(ref _tail) <= Bytes.Length - bytes;

    /// <summary>Takes room for a record, unless the segment is full or sealed.</summary>
    public bool TryReserve(int bytes, out int offset)
    {
        offset = Volatile.Read(ref _tail);
        while (offset <= Bytes.Length - bytes)
        {
            var seen = Interlocked.CompareExchange(ref _tail, offset + bytes, offset);
            if (seen == offset)
            {
                return true;
            }

            offset = seen;
        }

        return false;
    }

    /// <summary>Ends reserving. Call only while holding the lock of the segment table.</summary>
    public void Seal()
    {
        if (_tail != Sealed)
        {
            // The end must be in place before anyone can see that the segment is sealed, and it is final only once it is.
            int tail;
            do
            {
                tail = Volatile.Read(ref _tail);
                _end = tail;
            }
            while (Interlocked.CompareExchange(ref _tail, Sealed, tail) != tail);
            CountDead(Bytes.Length - _end);
        }
    }

    /// <summary>Notes that a record reserved here is now live or dead.</summary>
    public void Settle(int bytes) => Interlocked.Add(ref _settledBytes, bytes);

    /// <summary>Counts a record that nothing points at any more.</summary>
    public void CountDead(int bytes) => Interlocked.Add(ref _deadBytes, bytes);

    /// <summary>Notes the deadline of a record. Call before the record is settled.</summary>
    public void NoteDeadline(uint deadline)
    {
        var next = Volatile.Read(ref _nextDeadline);
        while (deadline < next)
        {
            next = Interlocked.CompareExchange(ref _nextDeadline, deadline, next) is var seen && seen == next ? deadline : seen;
        }
    }

    /// <summary>Sets when the next record expires, after a walk over all of them.</summary>
    public void SetNextDeadline(uint deadline) => Volatile.Write(ref _nextDeadline, deadline);
}
