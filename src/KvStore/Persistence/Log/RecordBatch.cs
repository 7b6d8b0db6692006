using KvStore.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>
/// Laid-out records that are written together, with the callers that wait for them. Guarded by the lock of <see cref="GroupCommit"/>
/// while it is open; belongs to the flush loop while it is written.
/// </summary>
internal sealed class RecordBatch
{
    private const int FirstChunkBytes = 64 * 1024;
    private const int ChunkBytes = 1024 * 1024;
    private const int KeptChunks = 9;

    // Made before anything else is: emptying a batch allocates nothing.
    private static readonly Predicate<byte[]> s_isLarge = static chunk => chunk.Length > ChunkBytes;

    private readonly List<byte[]> _chunks = [];
    private readonly List<ArraySegment<byte>> _filled = [];
    private int _chunkIndex;
    private int _chunkBytes;

    /// <summary>The bytes of all records.</summary>
    public long Length { get; private set; }

    /// <summary>How many of them an attempt that failed has written for good. Set by the writer's outcome.</summary>
    public long WrittenBytes { get; set; }

    /// <summary>Up to here, every record is acknowledged, or will be: it is written in any case, and the log is sure to take it.</summary>
    public long AcknowledgedBytes { get; private set; }

    /// <summary>Whether there are deletes among the records.</summary>
    public bool HasDeletes { get; private set; }

    public long HighestRevision { get; private set; }

    /// <summary>The callers that wait, as a list in the order of their records.</summary>
    public PendingAppend? FirstWaiting { get; private set; }

    /// <summary>Whether it must be on the disk, however few records it has.</summary>
    public bool MustFlush { get; set; }

    /// <summary>Whether it must be handed to the operating system, however few records it has.</summary>
    public bool MustWrite { get; set; }

    /// <summary>Whether a new file must begin after it.</summary>
    public bool MustRoll { get; set; }

    /// <summary>Whether the log must be finished after it.</summary>
    public bool MustClose { get; set; }

    public bool HasWork => Length > 0 || MustFlush || MustRoll || MustClose;

    /// <summary>The records, in order.</summary>
    public IReadOnlyList<ArraySegment<byte>> Chunks
    {
        get
        {
            if (_filled.Count == _chunkIndex && _chunkBytes > 0)
            {
                _filled.Add(new ArraySegment<byte>(_chunks[_chunkIndex], 0, _chunkBytes));
            }

            return _filled;
        }
    }

    /// <summary>The last caller that waits.</summary>
    public PendingAppend? LastWaiting { get; private set; }

    /// <summary>Lays out a mutation behind the others.</summary>
    public void Add(in KvMutation mutation, int size)
    {
        if (_chunkIndex == _chunks.Count || _chunks[_chunkIndex].Length - _chunkBytes < size)
        {
            NextChunk(size);
        }

        LogRecord.Lay(_chunks[_chunkIndex].AsSpan(_chunkBytes, size), mutation);
        _chunkBytes += size;
        Length += size;
        HasDeletes |= mutation.IsDelete;
        HighestRevision = Math.Max(HighestRevision, mutation.Revision);
    }

    /// <summary>Adds a caller that waits.</summary>
    public void Add(PendingAppend waiting)
    {
        if (LastWaiting is null)
        {
            FirstWaiting = waiting;
        }
        else
        {
            LastWaiting.Next = waiting;
        }

        LastWaiting = waiting;
    }

    /// <summary>The last record was acknowledged, so all before it will be written too.</summary>
    public void Acknowledge() => AcknowledgedBytes = Length;

    /// <summary>Removes the records that are not acknowledged. Allocates nothing.</summary>
    public void CutOff()
    {
        var at = 0L;
        for (var i = 0; i < _filled.Count; i++)
        {
            if (at + _filled[i].Count >= AcknowledgedBytes)
            {
                _filled.RemoveRange(i, _filled.Count - i);
                _chunkIndex = i;
                break;
            }

            at += _filled[i].Count;
        }

        _chunkBytes = (int)(AcknowledgedBytes - at);
        Length = AcknowledgedBytes;
    }

    /// <summary>Takes the callers whose records are not acknowledged, as a list. Commands have no record.</summary>
    public PendingAppend? TakeNotAcknowledged()
    {
        PendingAppend? first = null;
        PendingAppend? last = null;
        PendingAppend? before = null;
        for (var pending = FirstWaiting; pending is not null;)
        {
            var next = pending.Next;
            if (pending.Through <= AcknowledgedBytes || pending.IsCommand)
            {
                before = pending;
            }
            else
            {
                pending.Next = null;
                if (before is null)
                {
                    FirstWaiting = next;
                }
                else
                {
                    before.Next = next;
                }

                if (last is null)
                {
                    first = pending;
                }
                else
                {
                    last.Next = pending;
                }

                last = pending;
            }

            pending = next;
        }

        LastWaiting = before;
        return first;
    }

    /// <summary>The callers have been completed, and the records are written later.</summary>
    public void ForgetWaiting() => FirstWaiting = LastWaiting = null;

    /// <summary>Takes the callers up to one of them, as a list.</summary>
    public PendingAppend? TakeWaiting(PendingAppend? last)
    {
        if (last is null)
        {
            return null;
        }

        var first = FirstWaiting;
        FirstWaiting = last.Next;
        LastWaiting = FirstWaiting is null ? null : LastWaiting;
        last.Next = null;
        return first;
    }

    /// <summary>The records of a kind, from a place on, each with the place where it ends.</summary>
    public IEnumerable<(ArraySegment<byte> Record, long End)> RecordsFrom(long place, RecordKind kind)
    {
        var at = 0L;
        foreach (var chunk in Chunks)
        {
            for (var position = 0; position < chunk.Count;)
            {
                var size = LogRecord.SizeAt(chunk.AsSpan(position));
                if (at >= place && LogRecord.KindAt(chunk.AsSpan(position)) == kind)
                {
                    yield return (chunk.Slice(position, size), at + size);
                }

                position += size;
                at += size;
            }
        }
    }

    /// <summary>Empties it for the next use.</summary>
    public void Reset()
    {
        if (_chunks.Count > KeptChunks)
        {
            _chunks.RemoveRange(KeptChunks, _chunks.Count - KeptChunks);
        }

        _chunks.RemoveAll(s_isLarge);

        _filled.Clear();
        _chunkIndex = 0;
        _chunkBytes = 0;
        Length = 0;
        WrittenBytes = 0;
        AcknowledgedBytes = 0;
        HasDeletes = false;
        HighestRevision = 0;
        FirstWaiting = LastWaiting = null;
        MustFlush = MustWrite = MustRoll = MustClose = false;
    }

    // Takes all memory before it changes anything, also that for the part which will be filled last.
    private void NextChunk(int size)
    {
        var next = _chunkBytes > 0 ? _chunkIndex + 1 : _chunkIndex;
        AllocationProbe.Before();
        _filled.EnsureCapacity(next + 1);
        if (next == _chunks.Count || _chunks[next].Length < size)
        {
            _chunks.EnsureCapacity(_chunks.Count + 1);
            AllocationProbe.Before();
            _chunks.Insert(next, GC.AllocateUninitializedArray<byte>(Math.Max(next == 0 ? FirstChunkBytes : ChunkBytes, size)));
        }

        if (_chunkBytes > 0)
        {
            _filled.Add(new ArraySegment<byte>(_chunks[_chunkIndex], 0, _chunkBytes));
            _chunkIndex = next;
            _chunkBytes = 0;
        }
    }
}
