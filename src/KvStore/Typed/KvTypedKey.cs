namespace KvStore;

/// <summary>An entry of a typed namespace, as a listing shows it: without its value.</summary>
/// <typeparam name="TMetadata">The type of the metadata.</typeparam>
/// <param name="Name">The key. The generated <c>TryParse…Key</c> takes it apart.</param>
/// <param name="Metadata">The metadata; the default where there is none.</param>
/// <param name="Expiration">When the entry expires, in whole seconds; null when it doesn't.</param>
public readonly record struct KvTypedKey<TMetadata>(string Name, TMetadata? Metadata, DateTimeOffset? Expiration);
