using KvStore.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>
/// Laid-out records that wait to be written together, with those who wait for them. Guarded by the gate of
/// <see cref="GroupCommit"/> while it is open, and the flush loop's own while it is written.
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

    /// <summary>Whether there are deletes among the records.</summary>
    public bool HasDeletes { get; private set; }

    public long HighestRevision { get; private set; }

    /// <summary>Those who wait, as a list in the order of their records.</summary>
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

    /// <summary>The last of those who wait.</summary>
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

    /// <summary>Adds one who waits.</summary>
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

    /// <summary>Those who wait have been completed, and the records are written later.</summary>
    public void ForgetWaiting() => FirstWaiting = LastWaiting = null;

    /// <summary>Takes out those who wait, up to one of them, as a list.</summary>
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

    /// <summary>The records of a kind, from a place on.</summary>
    public IEnumerable<ArraySegment<byte>> RecordsFrom(long place, RecordKind kind)
    {
        var at = 0L;
        foreach (var chunk in Chunks)
        {
            for (var position = 0; position < chunk.Count;)
            {
                var size = LogRecord.SizeAt(chunk.AsSpan(position));
                if (at >= place && LogRecord.KindAt(chunk.AsSpan(position)) == kind)
                {
                    yield return chunk.Slice(position, size);
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
