namespace KvStore;

/// <summary>
/// A key-value namespace with the semantics of a Workers KV binding: get, put, delete and list, with time to live,
/// metadata and prefix listing.
/// </summary>
/// <remarks>
/// <para>Text, JSON, bytes and streams are conveniences on top of these five operations; see
/// <see cref="KvNamespaceExtensions"/>.</para>
/// <para>Every member is safe to call from any number of threads at once. Concurrent writes to one key are ordered, and
/// the last one wins.</para>
/// <para>Keys are 1 to 512 bytes of UTF-8 (<see cref="KvLimits.KeyBytesMax"/>), any characters, compared byte by byte;
/// <c>.</c> and <c>..</c> are not allowed. Source: Workers KV, "Write key-value pairs".</para>
/// </remarks>
public interface IKvNamespace
{
    /// <summary>The name under which the namespace was created or registered, for example <c>CACHE_KV</c>.</summary>
    string Name { get; }

    /// <summary>Reads the value, the metadata and the expiration of a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="options">How to read; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the read where it has to wait.</param>
    /// <returns>The entry; <see cref="KvValue.Exists"/> is false when there is none or when it has expired.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400), or an option is out of range (400).</exception>
    ValueTask<KvValue> GetAsync(string key, KvGetOptions? options = null, CancellationToken cancellationToken = default);

    /// <summary>Reads 1 to 100 keys at once, with their metadata.</summary>
    /// <param name="keys">The keys; one that is named twice is answered once.</param>
    /// <param name="options">How to read; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the read where it has to wait.</param>
    /// <returns>One entry per distinct key, in the order asked for; missing keys have <see cref="KvValue.Exists"/> false.</returns>
    /// <exception cref="KvException">
    /// No key or too many (400), a key that is empty, <c>.</c> or <c>..</c> (400) or too long (414), or more than 25 MiB of
    /// values in all (413).
    /// </exception>
    ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys,
        KvGetOptions? options = null,
        CancellationToken cancellationToken = default);

    /// <summary>Writes a value, replacing the key's value, metadata and expiration together.</summary>
    /// <remarks>
    /// When one thread calls two writes of a key, the later call wins, for values of any size, and also when the earlier call was not
    /// awaited. The order is that of the calls: a write that is called while an earlier stream is still being read is the later write.
    /// The earlier write is then not made, and its task completes with the later one. Conditional writes and
    /// touches (<see cref="IKvExtendedNamespace"/>) are ordered by their commits instead.
    /// </remarks>
    /// <param name="key">The key.</param>
    /// <param name="content">The value: text, bytes, a stream or a pipe, of at most 25 MiB.</param>
    /// <param name="options">Expiration and metadata; what is left out is cleared.</param>
    /// <param name="cancellationToken">Cancels reading the source; a cancelled put changes nothing.</param>
    /// <returns>A task that completes when the value is visible to reads and as durable as the namespace is configured.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>, or a number does not fit 32 bits.</exception>
    /// <exception cref="KvException">
    /// The key is too long (414) or not Unicode (400), the expiration is out of range (400), or the metadata or the value is
    /// too large (413). Nothing has changed.
    /// </exception>
    ValueTask PutAsync(string key, KvContent content, KvPutOptions? options = null, CancellationToken cancellationToken = default);

    /// <summary>Deletes a key. Succeeds whether or not the key exists.</summary>
    /// <param name="key">The key.</param>
    /// <param name="cancellationToken">Cancels the delete where it has to wait.</param>
    /// <returns>A task that completes when the delete is visible to reads and as durable as the namespace is configured.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400).</exception>
    ValueTask DeleteAsync(string key, CancellationToken cancellationToken = default);

    /// <summary>Lists keys in the order of their UTF-8 bytes, one page at a time.</summary>
    /// <param name="options">Prefix, limit and cursor; null lists the first page of all keys.</param>
    /// <param name="cancellationToken">Cancels the listing where it has to wait.</param>
    /// <returns>A page of names with expiration and metadata, never values.</returns>
    /// <exception cref="KvException">The limit is above 1,000 (400), the prefix too long (414), or the cursor malformed (400).</exception>
    ValueTask<KvListPage> ListAsync(KvListOptions? options = null, CancellationToken cancellationToken = default);
}
