namespace KvStore;

/// <summary>
/// Is called for every change of a key: a put, touch, delete, expiration or eviction. See <see cref="KvNamespace.ObserveChanges"/>.
/// </summary>
/// <remarks>
/// <para>The call is made after readers see the change, and before the task of the write completes. So a cache that drops its copy of the
/// entry in this call never serves the old entry to a caller who knows of the write.</para>
/// <para>It is made on the thread of the write, while the namespace holds a lock: return fast, wait for nothing, do not use the namespace, and do not
/// throw. An exception is ignored. Calls for different keys may be made at the same time.</para>
/// </remarks>
/// <param name="utf8Key">The key in UTF-8, valid during the call; empty for every key, when the namespace is disposed.</param>
public delegate void KvChangeCallback(ReadOnlySpan<byte> utf8Key);
