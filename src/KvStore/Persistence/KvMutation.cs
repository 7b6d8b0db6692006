using KvStore.Records;
using KvStore.Rules;

namespace KvStore;

/// <summary>A put, a delete or a touch on its way to a persistence provider, or back from it: fully encoded and numbered.</summary>
/// <remarks>
/// The caller that passes a mutation keeps its memory valid and unchanged until the call, or the task that it returned, has
/// completed. The receiver copies what it needs for longer.
/// </remarks>
public readonly struct KvMutation
{
    /// <summary>The key in UTF-8, 1 to 4,095 bytes.</summary>
    public ReadOnlyMemory<byte> Key { get; init; }

    /// <summary>The metadata as compact JSON in UTF-8, at most 65,535 bytes; empty for none, and for a delete.</summary>
    public ReadOnlyMemory<byte> Metadata { get; init; }

    /// <summary>The value; empty for a delete, and where <see cref="LargeValue"/> says where the value is.</summary>
    public ReadOnlyMemory<byte> Value { get; init; }

    /// <summary>Where the provider keeps the value, when it was too large to be kept in memory.</summary>
    public KvValueReference LargeValue { get; init; }

    /// <summary>Orders the mutations of a namespace: of two for one key, the one with the higher revision wins. Positive.</summary>
    public long Revision { get; init; }

    /// <summary>The first second since the Unix epoch at which the entry is certainly gone; 0 for never.</summary>
    public uint DeadlineSeconds { get; init; }

    /// <summary>
    /// How <see cref="DeadlineSeconds"/> was rounded: 0 to 3. A provider keeps it beside the deadline and gives it back on
    /// recovery. An entry whose rounding is lost lives up to half a second longer, and shows an expiration that is up to two
    /// seconds later: 1 means that it is gone half a second before <see cref="DeadlineSeconds"/>, 1 and 2 that it shows one second less, 3 that it shows
    /// two seconds less.
    /// </summary>
    public byte DeadlineRounding { get; init; }

    /// <summary>
    /// The revision of the entry that this mutation gives a new time to live, and changes nothing else of; 0 for every other put. Such a
    /// mutation is called a touch.
    /// </summary>
    /// <remarks>
    /// A touch has the metadata and the value of the entry, and may be kept as the put that it also is: a provider can ignore this
    /// property. A provider that keeps the value already may write the key, the revisions and the deadline alone. It then passes the
    /// touch to <see cref="IKvPersistenceHost.RecoverTouch"/>. A touch of an entry with a large value refers to the same one.
    /// </remarks>
    public long TouchedRevision { get; init; }

    /// <summary>Both as the engine keeps them.</summary>
    internal Deadline Deadline => new(DeadlineSeconds, DeadlineRounding);

    /// <summary>Whether the key is deleted.</summary>
    public bool IsDelete { get; init; }
}

/// <summary>Receives one mutation. Its memory may be reused as soon as the call returns.</summary>
/// <param name="mutation">The mutation.</param>
public delegate void KvMutationHandler(in KvMutation mutation);
