namespace KvStore;

/// <summary>An entry to write: see <see cref="IKvExtendedNamespace.PutManyAsync"/>.</summary>
/// <param name="Key">The key.</param>
/// <param name="Content">The value.</param>
/// <param name="Options">Expiration and metadata; null for neither.</param>
public readonly record struct KvEntry(string Key, KvContent Content, KvPutOptions? Options = null);

/// <summary>An entry that a scan shows: see <see cref="IKvExtendedNamespace.ScanAsync"/>.</summary>
/// <param name="Key">The key.</param>
/// <param name="Value">Its value, metadata and expiration: a view on memory that never changes.</param>
public readonly record struct KvScanEntry(string Key, KvValue Value);
