namespace KvStore;

/// <summary>A change of an entry of a typed namespace.</summary>
/// <typeparam name="TValue">The type of the value.</typeparam>
/// <typeparam name="TMetadata">The type of the metadata.</typeparam>
/// <param name="Kind">What happened.</param>
/// <param name="Name">The key; empty where the change is not of one key. The generated <c>TryParse…Key</c> takes it apart.</param>
/// <param name="Revision">The revision of the change: see <see cref="KvChange.Revision"/>.</param>
/// <param name="Entry">The entry after the change; it does not exist where the kind is not <see cref="KvChangeKind.Put"/>.</param>
public readonly record struct KvTypedChange<TValue, TMetadata>(
    KvChangeKind Kind, string Name, long Revision, KvTypedValue<TValue, TMetadata> Entry);
