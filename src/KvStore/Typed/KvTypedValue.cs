namespace KvStore;

/// <summary>An entry of a typed namespace, as a get finds it.</summary>
/// <typeparam name="TValue">The type of the value.</typeparam>
/// <typeparam name="TMetadata">The type of the metadata.</typeparam>
/// <param name="Exists">False when there is no such key, or it has expired. The others are their types' defaults then.</param>
/// <param name="Value">The value; null where JSON <c>null</c> is stored.</param>
/// <param name="Metadata">The metadata; the default where there is none.</param>
/// <param name="Expiration">When the entry expires, in whole seconds; null when it doesn't.</param>
public readonly record struct KvTypedValue<TValue, TMetadata>(bool Exists, TValue? Value, TMetadata? Metadata, DateTimeOffset? Expiration);
