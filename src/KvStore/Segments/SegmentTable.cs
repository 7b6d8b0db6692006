using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using KvStore.Diagnostics;
using KvStore.Index;
using KvStore.Records;

namespace KvStore.Segments;

/// <summary>
/// The segments of a namespace by number, and the tails to which records are appended.
/// </summary>
/// <remarks>
/// <para>Readers go from an index entry to its array through <see cref="Arrays"/> without a lock. When the entry is unchanged
/// <em>after</em> the array was loaded, the array is the right one: a segment is dropped only when no index entry points into it, and
/// its number does not come back before 1 TiB more is written.</para>
/// <para>A number's slot is its low bits. Numbers whose slot is taken are skipped, so a slot never means two segments.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
/// <param name="firstNumber">The number of the first segment.</param>
/// <param name="sizes">How large segments are; null where memory is not limited.</param>
internal sealed class SegmentTable(int firstNumber = 1, SegmentSizes? sizes = null)
{
    // A smaller namespace has little to win, and needs little.
    private const int ReserveBytes = 512 * 1024;
    private const int ReserveFromBytes = 8 * ReserveBytes;

    private readonly Lock _lock = new();
    private readonly SegmentSizes _sizes = sizes ?? SegmentSizes.Unlimited;

    // Replaced when it grows; only its elements change in place. Read it after the index entry, and once.
    private byte[]?[] _arrays = new byte[]?[16];
    private Segment?[] _segments = new Segment?[16];
    private int _count;
    private int _nextId = firstNumber;
    private long _bytes;

    private long _nextOrder;

    private Segment? _tail;
    private Segment? _mainTail;
    private Segment? _cleanerTail;
    private Segment? _smallCleanerTail;

    // For the cleaner, when there is no memory: it can make room only after it has copied what lives elsewhere.
    private Segment? _reserve;

    /// <summary>Notifies that a segment was added, so that old ones are checked for cleaning.</summary>
    public event Action? SegmentAdded;

    /// <summary>The arrays by the low bits of their segment's number.</summary>
    public byte[]?[] Arrays
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => Volatile.Read(ref _arrays);
    }

    /// <summary>How many slots the numbers of segments have: those of two segments at one time never share one.</summary>
    public int SlotCount => Arrays.Length;

    /// <summary>The bytes of all segments.</summary>
    public long Bytes => Volatile.Read(ref _bytes);

    /// <summary>The bytes of all segments, and of the reserve for the cleaner.</summary>
    public long BytesWithReserve => Bytes + (Volatile.Read(ref _reserve)?.Bytes.Length ?? 0);

    /// <summary>How large segments are.</summary>
    public SegmentSizes Sizes => _sizes;

    /// <summary>The bytes of the segment that a record of a caller would need now; 0 when there is room for it.</summary>
    public int BytesToAddFor(int recordBytes, SegmentQueue queue = SegmentQueue.Small) =>
        recordBytes > _sizes.SharedRecord ? recordBytes
        : Volatile.Read(ref queue == SegmentQueue.Small ? ref _tail : ref _mainTail) is { } tail && tail.HasRoom(recordBytes) ? 0
        : NextSegmentBytes(recordBytes, LiveBytes / 4);

    /// <summary>The bytes of all records that are not dead.</summary>
    public long LiveBytes
    {
        get
        {
            lock (_lock)
            {
                return LiveBytesHoldingLock();
            }
        }
    }

    /// <summary>The array of an address; null, or the array of another segment, when the segment has been dropped meanwhile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public byte[]? ArrayOf(long address)
    {
        // In bounds: the length is a power of two, and the index is below it. The element is loaded with acquire semantics,
        // so that a caller who reads the index entry again reads it afterwards.
        var arrays = Arrays;
        var slot = (nuint)(RecordAddress.SegmentIdAndMoreOf(address) & (uint)(arrays.Length - 1));
        Debug.Assert(slot < (uint)arrays.Length && BitOperations.IsPow2(arrays.Length));
        return Volatile.Read(ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(arrays), slot));
    }

    /// <summary>The record of an address that cannot be dropped meanwhile.</summary>
    public Record RecordAt(long address) => new(ArrayOf(address)!, RecordAddress.OffsetOf(address));

    /// <summary>The segment of an address that cannot be dropped meanwhile.</summary>
    public Segment SegmentOf(long address)
    {
        var segments = Volatile.Read(ref _segments);
        return segments[RecordAddress.SegmentIdOf(address) & (segments.Length - 1)]!;
    }

    /// <summary>Takes room for a record that a caller writes.</summary>
    public RecordDraft Reserve(int bytes) => Reserve(ref _tail, bytes, bytesToCome: null);

    /// <summary>Takes room for a record that a caller writes, in one of the queues for eviction.</summary>
    public RecordDraft Reserve(int bytes, SegmentQueue queue) => queue == SegmentQueue.Small
        ? Reserve(ref _tail, bytes, bytesToCome: null)
        : Reserve(ref _mainTail, bytes, bytesToCome: null, queue);

    /// <summary>Takes room for a record that the cleaner moves: survivors lie together, apart from what is new.</summary>
    /// <param name="bytes">The room.</param>
    /// <param name="bytesToCome">How much more the cleaner is about to move, this record included.</param>
    /// <param name="queue">The queue for eviction in which the survivors stay.</param>
    /// <param name="order">Their place in it, where a segment is begun for them; null for the end.</param>
    public RecordDraft ReserveForCleaner(int bytes, long bytesToCome, SegmentQueue queue = SegmentQueue.Main, long? order = null) =>
        queue == SegmentQueue.Small
            ? Reserve(ref _smallCleanerTail, bytes, bytesToCome, queue, order)
            : Reserve(ref _cleanerTail, bytes, bytesToCome, queue, order);

    /// <summary>Takes room in a tail that belongs to the caller, who seals it in the end.</summary>
    public RecordDraft Reserve(ref Segment? tail, int bytes, SegmentQueue queue = SegmentQueue.Small) =>
        Reserve(ref tail, bytes, bytesToCome: null, queue);

    /// <summary>Puts a segment at the end of a queue for eviction.</summary>
    public void MoveToEnd(Segment segment, SegmentQueue queue)
    {
        lock (_lock)
        {
            segment.Queue = queue;
            segment.Order = _nextOrder++;
        }
    }

    /// <summary>Ends appending to a segment, so that it can be walked once it is settled.</summary>
    public void Seal(Segment segment)
    {
        lock (_lock)
        {
            segment.Seal();
        }
    }

    /// <summary>Ends appending to the segments in use, so that they can be walked once they are settled.</summary>
    /// <param name="predicate">Which of them.</param>
    /// <param name="argument">Handed to the predicate, so that it need not be made for each call.</param>
    public void SealTails<T>(Func<Segment, T, bool> predicate, T argument)
    {
        lock (_lock)
        {
            SealIf(ref _tail, predicate, argument);
            SealIf(ref _mainTail, predicate, argument);
            SealIf(ref _cleanerTail, predicate, argument);
            SealIf(ref _smallCleanerTail, predicate, argument);
        }
    }

    /// <summary>All segments, as of now.</summary>
    public List<Segment> ToList()
    {
        AllocationProbe.Before();
        var list = new List<Segment>(Volatile.Read(ref _count));
        CopyTo(list);
        return list;
    }

    /// <summary>All segments, as of now, in a list that is used again and again.</summary>
    public void CopyTo(List<Segment> list)
    {
        list.Clear();
        lock (_lock)
        {
            if (list.Capacity < _count)
            {
                AllocationProbe.Before();
                list.EnsureCapacity(_count);
            }

            foreach (var segment in _segments)
            {
                if (segment is not null)
                {
                    list.Add(segment);
                }
            }
        }
    }

    /// <summary>No record that lives expires before this second; <see cref="uint.MaxValue"/> when none expires.</summary>
    public uint NextDeadline
    {
        get
        {
            var next = uint.MaxValue;
            lock (_lock)
            {
                foreach (var segment in _segments)
                {
                    next = Math.Min(next, segment?.NextDeadline ?? uint.MaxValue);
                }
            }

            return next;
        }
    }

    /// <summary>Drops segments into which nothing points any more.</summary>
    public void Drop(List<Segment> segments)
    {
        lock (_lock)
        {
            foreach (var segment in segments)
            {
                var slot = segment.Id & (_arrays.Length - 1);
                Volatile.Write(ref _arrays[slot], null);
                _segments[slot] = null;
                _count--;
                _bytes -= segment.Bytes.Length;
            }
        }
    }

    /// <summary>Keeps a reserve of memory for the cleaner where the namespace is large enough, if there is memory for one.</summary>
    public void KeepReserve()
    {
        lock (_lock)
        {
            if (_bytes < ReserveFromBytes)
            {
                _reserve = null;
            }
            else if (_reserve is null)
            {
                AllocationProbe.Before();
                _reserve = new Segment(id: 0, Math.Min(ReserveBytes, _sizes.Most));
            }
        }
    }

    /// <summary>Drops everything. Requires: no index entry points anywhere.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            _arrays = new byte[]?[16];
            _segments = new Segment?[16];
            _tail = _mainTail = _cleanerTail = _smallCleanerTail = null;
            _reserve = null;
            _count = 0;
            _bytes = 0;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private RecordDraft Reserve(
        ref Segment? tail, int bytes, long? bytesToCome, SegmentQueue queue = SegmentQueue.Small, long? order = null)
    {
        if (Volatile.Read(ref tail) is { } segment && segment.TryReserve(bytes, out var offset))
        {
            return new RecordDraft(segment, offset);
        }

        return ReserveInNew(ref tail, bytes, bytesToCome, queue, order);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private RecordDraft ReserveInNew(ref Segment? tail, int bytes, long? bytesToCome, SegmentQueue queue, long? order)
    {
        RecordDraft draft;
        lock (_lock)
        {
            if (bytes > _sizes.SharedRecord)
            {
                var own = Add(bytes, queue, order);
                own.TryReserve(bytes, out var offset);
                own.Seal();
                draft = new RecordDraft(own, offset);
            }
            else
            {
                if (tail is { } current && current.TryReserve(bytes, out var offset))
                {
                    // Another thread has begun a new segment meanwhile.
                    return new RecordDraft(current, offset);
                }

                // Published only once this record has its room in it, so that the loop cannot starve. Where there is no memory for
                // a new segment the tail stays as it is.
                var next = bytesToCome is { } toCome
                    ? AddForCleaner(bytes, NextSegmentBytes(bytes, toCome), queue, order)
                    : Add(NextSegmentBytes(bytes, LiveBytesHoldingLock() / 4), queue, order);
                tail?.Seal();
                next.TryReserve(bytes, out offset);
                Volatile.Write(ref tail, next);
                draft = new RecordDraft(next, offset);
            }
        }

        SegmentAdded?.Invoke();
        return draft;
    }

    // Of what lives, and not of what is taken: the cleaner seals a tail that is large beside what lives, and the next one would be as
    // large. Records that wait to be committed keep such segments from being dropped, and memory would grow with each.
    private long LiveBytesHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        var bytes = 0L;
        foreach (var segment in _segments)
        {
            bytes += segment is null ? 0 : segment.UsedBytes - segment.DeadBytes;
        }

        return bytes;
    }

    private void SealIf<T>(ref Segment? tail, Func<Segment, T, bool> predicate, T argument)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        if (tail is { } current && current.UsedBytes > 0 && predicate(current, argument))
        {
            current.Seal();
            tail = null;
        }
    }

    // A small namespace begins with small segments, and loses at most about a quarter of its size to an unfilled one.
    private int NextSegmentBytes(int recordBytes, long wantedBytes)
    {
        var bytes = (int)Math.Clamp(wantedBytes, _sizes.Least, _sizes.Most);
        return (Math.Max(bytes, recordBytes) + 4095) & -4096;
    }

    private Segment AddForCleaner(int recordBytes, int capacityBytes, SegmentQueue queue, long? order)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        try
        {
            return Add(capacityBytes, queue, order);
        }
        catch (OutOfMemoryException) when (_reserve is { } reserve && recordBytes <= reserve.Bytes.Length && _count < _segments.Length)
        {
            _reserve = null;
            Add(reserve, queue, order);
            return reserve;
        }
    }

    private Segment Add(int capacityBytes, SegmentQueue queue, long? order)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        if (_count > _segments.Length / 2)
        {
            Grow();
        }

        AllocationProbe.Before();
        var segment = new Segment(id: 0, capacityBytes);
        Add(segment, queue, order);
        return segment;
    }

    private void Add(Segment segment, SegmentQueue queue, long? order)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        // Mostly at least half of the slots are free, so a free one is found after a few steps.
        while (_segments[_nextId & (_segments.Length - 1)] is not null)
        {
            _nextId = NextId(_nextId);
        }

        segment.Id = _nextId;
        segment.Queue = queue;
        segment.Order = order ?? _nextOrder++;
        var slot = segment.Id & (_segments.Length - 1);
        _segments[slot] = segment;
        Volatile.Write(ref _arrays[slot], segment.Bytes);
        _nextId = NextId(_nextId);
        _count++;
        _bytes += segment.Bytes.Length;
    }

    private void Grow()
    {
        AllocationProbe.Before();
        var arrays = new byte[]?[_arrays.Length * 2];
        var segments = new Segment?[arrays.Length];
        foreach (var segment in _segments)
        {
            if (segment is not null)
            {
                arrays[segment.Id & (arrays.Length - 1)] = segment.Bytes;
                segments[segment.Id & (arrays.Length - 1)] = segment;
            }
        }

        Volatile.Write(ref _segments, segments);
        Volatile.Write(ref _arrays, arrays);
    }

    // 0 is no segment: an address of 0 is no address.
    private static int NextId(int id) => id + 1 == RecordAddress.SegmentIdEnd ? 1 : id + 1;
}
