namespace KvStore;

/// <summary>An entry of a typed namespace, as a scan reads it: with its key and its value.</summary>
/// <typeparam name="TValue">The type of the value.</typeparam>
/// <typeparam name="TMetadata">The type of the metadata.</typeparam>
/// <param name="Name">The key. The generated <c>TryParse…Key</c> takes it apart.</param>
/// <param name="Value">The value; null where JSON <c>null</c> is stored.</param>
/// <param name="Metadata">The metadata; the default where there is none.</param>
/// <param name="Expiration">When the entry expires, in whole seconds; null when it doesn't.</param>
public readonly record struct KvTypedItem<TValue, TMetadata>(string Name, TValue? Value, TMetadata? Metadata, DateTimeOffset? Expiration);
