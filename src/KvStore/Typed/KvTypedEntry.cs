using System.ComponentModel;
using System.Runtime.CompilerServices;
using KvStore.Typed;

namespace KvStore;

/// <summary>
/// One key of a typed namespace (<see cref="KvNamespaceAttribute"/>): reads, writes and deletes it as <typeparamref name="TValue"/>
/// with <typeparamref name="TMetadata"/> beside it.
/// </summary>
/// <remarks>Immutable; safe to use from any number of threads. Making one reads nothing.</remarks>
/// <typeparam name="TValue">The type of the value.</typeparam>
/// <typeparam name="TMetadata">The type of the metadata; <see cref="KvMetadata"/> for JSON of any kind, or none.</typeparam>
public sealed class KvTypedEntry<TValue, TMetadata>
{
    private readonly KvTypedShape<TValue, TMetadata> _shape;

    /// <summary>Makes an entry. Used by generated code.</summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="shape">How the entry is written and read.</param>
    [EditorBrowsable(EditorBrowsableState.Never)]
    public KvTypedEntry(IKvNamespace kv, string key, KvTypedShape<TValue, TMetadata> shape)
    {
        ArgumentNullException.ThrowIfNull(kv);
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(shape);
        Namespace = kv;
        Key = key;
        _shape = shape;
    }

    /// <summary>The namespace, for operations that are not typed.</summary>
    public IKvNamespace Namespace { get; }

    /// <summary>The key.</summary>
    public string Key { get; }

    /// <summary>Reads the entry.</summary>
    /// <param name="options">How to read; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the read where it has to wait.</param>
    /// <returns>The entry; <see cref="KvTypedValue{TValue, TMetadata}.Exists"/> is false when there is none.</returns>
    /// <exception cref="System.Text.Json.JsonException">The stored value or metadata does not fit the types.</exception>
    /// <exception cref="KvException">The key is not allowed, or an option is out of range.</exception>
    public async ValueTask<KvTypedValue<TValue, TMetadata>> GetAsync(KvGetOptions? options = null, CancellationToken cancellationToken = default)
    {
        var entry = await Namespace.GetAsync(Key, options, cancellationToken).ConfigureAwait(false);
        return await _shape.ReadAsync(Namespace, Key, entry, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Writes the entry without metadata, with the time to live of its <see cref="KvKeyAttribute"/>.</summary>
    /// <param name="value">The value.</param>
    /// <param name="cancellationToken">Cancels the put where it has to wait.</param>
    /// <returns>A task that completes when the value is visible and as durable as the namespace is configured.</returns>
    /// <exception cref="KvException">The value is too large, or the time to live is below the limit of the namespace. Nothing has changed.</exception>
    public ValueTask PutAsync(TValue value, CancellationToken cancellationToken = default) =>
        Namespace.PutAsync(Key, _shape.Value.Write(value), _shape.OptionsWithoutMetadata, cancellationToken);

    /// <summary>Writes the entry, with the time to live of its <see cref="KvKeyAttribute"/>.</summary>
    /// <param name="value">The value.</param>
    /// <param name="metadata">What is stored beside it; null for nothing.</param>
    /// <param name="cancellationToken">Cancels the put where it has to wait.</param>
    /// <returns>A task that completes when the value is visible and as durable as the namespace is configured.</returns>
    /// <exception cref="KvException">The value or the metadata is too large, or the time to live is below the limit of the namespace. Nothing has changed.</exception>
    [OverloadResolutionPriority(1)] // So that new(...) means the metadata.
    public ValueTask PutAsync(TValue value, TMetadata metadata, CancellationToken cancellationToken = default) =>
        Namespace.PutAsync(Key, _shape.Value.Write(value), _shape.Options(metadata), cancellationToken);

    /// <summary>Deletes the entry. Succeeds whether or not it exists.</summary>
    /// <param name="cancellationToken">Cancels the delete where it has to wait.</param>
    /// <returns>A task that completes when the delete is visible and as durable as the namespace is configured.</returns>
    public ValueTask DeleteAsync(CancellationToken cancellationToken = default) => Namespace.DeleteAsync(Key, cancellationToken);

    /// <summary>Watches the entry for changes: see <see cref="IKvExtendedNamespace.WatchAsync"/>.</summary>
    /// <param name="start">Whether the entry is shown first as it is, and then <see cref="KvChangeKind.Current"/>.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    /// <returns>The changes. One whose value does not fit the types ends the watch with a <see cref="System.Text.Json.JsonException"/>, which says after which revision to go on.</returns>
    /// <exception cref="NotSupportedException">The namespace is no <see cref="IKvExtendedNamespace"/>.</exception>
    /// <exception cref="KvException">The key is not allowed.</exception>
    public IAsyncEnumerable<KvTypedChange<TValue, TMetadata>> WatchAsync(
        KvWatchStart start = KvWatchStart.Now, CancellationToken cancellationToken = default) =>
        TypedWatch.WatchAsync(Namespace, new KvWatchOptions { Key = Key, Start = start }, isKey: null, _shape, cancellationToken);

    /// <summary>Watches the entry for changes since a revision: see <see cref="KvWatchOptions.AfterRevision"/>.</summary>
    /// <param name="afterRevision">The <see cref="KvTypedChange{TValue, TMetadata}.Revision"/> of the last change that was seen.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    /// <returns>The changes, as above.</returns>
    /// <exception cref="NotSupportedException">The namespace is no <see cref="IKvExtendedNamespace"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The revision is negative.</exception>
    /// <exception cref="KvException">The key is not allowed.</exception>
    [OverloadResolutionPriority(1)] // So that 0 means the revision.
    public IAsyncEnumerable<KvTypedChange<TValue, TMetadata>> WatchAsync(long afterRevision, CancellationToken cancellationToken = default) =>
        TypedWatch.WatchAsync(Namespace, new KvWatchOptions { Key = Key, AfterRevision = afterRevision }, isKey: null, _shape, cancellationToken);

    /// <summary>The key.</summary>
    public override string ToString() => Key;
}
