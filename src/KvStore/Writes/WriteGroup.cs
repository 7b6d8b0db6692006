using System.Diagnostics;
using System.Runtime.InteropServices;
using KvStore.Diagnostics;
using KvStore.Records;
using KvStore.Replication;
using KvStore.Segments;

namespace KvStore.Writes;

/// <summary>Drafts that are committed one after the other, and what each of them waits for. Used again and again by one call.</summary>
/// <remarks>Not thread-safe: it belongs to one call.</remarks>
internal sealed class WriteGroup(int capacity)
{
    private readonly List<Item> _items = new(capacity);

    /// <summary>What was committed and waits for an append: the number of its entry, and the task.</summary>
    public List<(int Entry, ValueTask Done)> Waiting { get; } = [];

    public int Count => _items.Count;

    /// <summary>The writes of the whole call at the engine; null where the group is the whole call.</summary>
    public KvEngineGroup? AtEngine { get; init; }

    /// <summary>The bytes that the drafts take in their segments.</summary>
    public long Bytes { get; private set; }

    /// <summary>How many of the drafts were committed. The next one is the one that failed, if one has.</summary>
    public int Committed { get; set; }

    /// <summary>The drafts. Not valid after the next <see cref="Add"/>.</summary>
    public ReadOnlySpan<Item> Items => CollectionsMarshal.AsSpan(_items);

    /// <summary>Takes the memory for the next <see cref="Add"/>.</summary>
    public void Reserve()
    {
        AllocationProbe.Before();
        _items.EnsureCapacity(_items.Count + 1);
    }

    /// <summary>Adds a draft. Requires: <see cref="Reserve"/> was called. Allocates nothing.</summary>
    public void Add(in Item item)
    {
        Debug.Assert(_items.Count < _items.Capacity, "Reserve comes before Add.");
        _items.Add(item);
        Bytes += item.Draft.IsNone ? Record.SizeFor(item.Key!.Length, 0, 0) : item.Draft.Record.SizeInSegment;
    }

    /// <summary>Takes the memory for what so many more wait for, before they are appended, because after the append nothing may fail.</summary>
    public void ReserveWaiting(int count)
    {
        AllocationProbe.Before();
        Waiting.EnsureCapacity(Waiting.Count + count);
    }

    /// <summary>Adds what an entry waits for. Requires: <see cref="ReserveWaiting"/> was called. Allocates nothing then.</summary>
    public void AddWaiting(int entry, ValueTask done) => Waiting.Add((entry, done));

    /// <summary>Forgets the drafts. Each was committed or abandoned.</summary>
    public void Clear()
    {
        _items.Clear();
        Committed = 0;
        Bytes = 0;
    }

    /// <summary>One draft.</summary>
    /// <param name="Entry">The number of the entry in the call.</param>
    /// <param name="Draft">The record, or none to delete a key.</param>
    /// <param name="Key">The key of a delete; null where the draft has it.</param>
    /// <param name="Hash">The hash of the key.</param>
    /// <param name="Replicated">Notifies the regions; null where nothing is replicated.</param>
    /// <param name="Call">The entry in the order of the calls, where something was waited for before it; null while nothing was.</param>
    /// <param name="Check">The condition of a delete, or what finds out whether the key existed; null for a put.</param>
    public readonly record struct Item(
        int Entry, RecordDraft Draft, byte[]? Key, ulong Hash, ReplicatedWrite? Replicated, PendingCall? Call, ConditionCheck? Check)
    {
        public ReadOnlySpan<byte> Utf8Key => Key ?? Draft.Record.Key;
    }
}
