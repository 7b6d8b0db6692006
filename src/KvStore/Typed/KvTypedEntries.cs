using System.ComponentModel;
using System.Runtime.CompilerServices;
using KvStore.Typed;

namespace KvStore;

/// <summary>
/// The keys of a typed namespace (<see cref="KvNamespaceAttribute"/>) with one prefix: lists them with their metadata, or scans them
/// with their values, in the order of their UTF-8 bytes.
/// </summary>
/// <remarks>
/// Immutable; safe to use from any number of threads. Keys with the prefix that the template cannot have made are left out.
/// </remarks>
/// <typeparam name="TValue">The type of the values.</typeparam>
/// <typeparam name="TMetadata">The type of the metadata.</typeparam>
public sealed class KvTypedEntries<TValue, TMetadata>
{
    // The most keys that a get takes by default.
    private const int KeysAtOnce = 100;

    private readonly IKvNamespace _kv;
    private readonly Func<string, bool> _isKey;
    private readonly KvTypedShape<TValue, TMetadata> _shape;

    /// <summary>Makes the entries. Used by generated code.</summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="prefix">What their keys begin with.</param>
    /// <param name="isKey">Whether the template makes a key.</param>
    /// <param name="shape">How the entries are written and read.</param>
    [EditorBrowsable(EditorBrowsableState.Never)]
    public KvTypedEntries(IKvNamespace kv, string prefix, Func<string, bool> isKey, KvTypedShape<TValue, TMetadata> shape)
    {
        ArgumentNullException.ThrowIfNull(kv);
        ArgumentNullException.ThrowIfNull(prefix);
        ArgumentNullException.ThrowIfNull(isKey);
        ArgumentNullException.ThrowIfNull(shape);
        _kv = kv;
        Prefix = prefix;
        _isKey = isKey;
        _shape = shape;
    }

    /// <summary>The prefix of the keys.</summary>
    public string Prefix { get; }

    /// <summary>Lists the entries with their metadata, reading no value.</summary>
    /// <param name="cancellationToken">Ends the enumeration.</param>
    /// <returns>The entries. What is written meanwhile may be among them or not.</returns>
    /// <exception cref="System.Text.Json.JsonException">Metadata does not fit <typeparamref name="TMetadata"/>.</exception>
    public async IAsyncEnumerable<KvTypedKey<TMetadata>> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (var key in _kv.ListAllAsync(Prefix, cancellationToken).ConfigureAwait(false))
        {
            if (_isKey(key.Name))
            {
                yield return new KvTypedKey<TMetadata>(key.Name, _shape.ReadMetadata(key.Metadata, "LIST", _kv, key.Name), key.Expiration);
            }
        }
    }

    /// <summary>
    /// Reads the entries with their values: by <see cref="IKvExtendedNamespace.ScanAsync"/>, or up to 100 at once where the namespace does
    /// not implement that.
    /// </summary>
    /// <param name="cancellationToken">Ends the enumeration.</param>
    /// <returns>
    /// The entries. An entry that is written during the scan has its new value or its old one. An entry that is gone before the scan
    /// reads it is left out.
    /// </returns>
    /// <exception cref="System.Text.Json.JsonException">What is stored does not fit the types.</exception>
    public IAsyncEnumerable<KvTypedItem<TValue, TMetadata>> ScanAsync(CancellationToken cancellationToken = default) =>
        _kv is IKvExtendedNamespace extended ? ScanAsync(extended, cancellationToken) : ListAndGetAsync(cancellationToken);

    /// <summary>Watches the entries for changes: see <see cref="IKvExtendedNamespace.WatchAsync"/>.</summary>
    /// <param name="start">Whether the entries that are there are shown first, and then <see cref="KvChangeKind.Current"/>.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    /// <returns>The changes. One whose value does not fit the types ends the watch with a <see cref="System.Text.Json.JsonException"/>, which says after which revision to go on.</returns>
    /// <exception cref="NotSupportedException">The namespace is no <see cref="IKvExtendedNamespace"/>.</exception>
    /// <exception cref="KvException">The prefix is too long (414).</exception>
    public IAsyncEnumerable<KvTypedChange<TValue, TMetadata>> WatchAsync(
        KvWatchStart start = KvWatchStart.Now, CancellationToken cancellationToken = default) =>
        TypedWatch.WatchAsync(_kv, new KvWatchOptions { Prefix = Prefix, Start = start }, _isKey, _shape, cancellationToken);

    /// <summary>Watches the entries for changes since a revision: see <see cref="KvWatchOptions.AfterRevision"/>.</summary>
    /// <param name="afterRevision">The <see cref="KvTypedChange{TValue, TMetadata}.Revision"/> of the last change that was seen.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    /// <returns>The changes, as above.</returns>
    /// <exception cref="NotSupportedException">The namespace is no <see cref="IKvExtendedNamespace"/>.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The revision is negative.</exception>
    /// <exception cref="KvException">The prefix is too long (414).</exception>
    [OverloadResolutionPriority(1)] // So that 0 means the revision.
    public IAsyncEnumerable<KvTypedChange<TValue, TMetadata>> WatchAsync(long afterRevision, CancellationToken cancellationToken = default) =>
        TypedWatch.WatchAsync(_kv, new KvWatchOptions { Prefix = Prefix, AfterRevision = afterRevision }, _isKey, _shape, cancellationToken);

    private async IAsyncEnumerable<KvTypedItem<TValue, TMetadata>> ScanAsync(
        IKvExtendedNamespace extended, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var (name, value) in extended.ScanAsync(Prefix, cancellationToken).ConfigureAwait(false))
        {
            if (_isKey(name) && await ReadScannedAsync(name, value, cancellationToken).ConfigureAwait(false) is { Exists: true } entry)
            {
                yield return new KvTypedItem<TValue, TMetadata>(name, entry.Value, entry.Metadata, entry.Expiration);
            }
        }
    }

    private async ValueTask<KvTypedValue<TValue, TMetadata>> ReadScannedAsync(string name, KvValue value, CancellationToken cancellationToken)
    {
        try
        {
            return await _shape.ReadAsync(_kv, name, value, cancellationToken).ConfigureAwait(false);
        }
        catch (KvException e) when (e.StatusCode == 410)
        {
            // A large value that was replaced while the entries before it were used: the new one.
            var now = await _kv.GetAsync(name, cancellationToken: cancellationToken).ConfigureAwait(false);
            return await _shape.ReadAsync(_kv, name, now, cancellationToken).ConfigureAwait(false);
        }
    }

    private async IAsyncEnumerable<KvTypedItem<TValue, TMetadata>> ListAndGetAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        List<string> names = new(KeysAtOnce);
        await foreach (var key in _kv.ListAllAsync(Prefix, cancellationToken).ConfigureAwait(false))
        {
            if (_isKey(key.Name))
            {
                names.Add(key.Name);
            }

            if (names.Count == KeysAtOnce)
            {
                await foreach (var item in ReadAsync(names, cancellationToken).ConfigureAwait(false))
                {
                    yield return item;
                }

                names.Clear();
            }
        }

        await foreach (var item in ReadAsync(names, cancellationToken).ConfigureAwait(false))
        {
            yield return item;
        }
    }

    private async IAsyncEnumerable<KvTypedItem<TValue, TMetadata>> ReadAsync(
        List<string> names, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var done = 0; done < names.Count;)
        {
            var (count, values) = await GetAsync(names, done, cancellationToken).ConfigureAwait(false);
            foreach (var name in names.GetRange(done, count))
            {
                var entry = await _shape.ReadAsync(_kv, name, values[name], cancellationToken).ConfigureAwait(false);
                if (entry.Exists)
                {
                    yield return new KvTypedItem<TValue, TMetadata>(name, entry.Value, entry.Metadata, entry.Expiration);
                }
            }

            done += count;
        }
    }

    // As many as the namespace returns at once. When too many keys or values are refused (400, 413), half as many are read.
    private async ValueTask<(int Count, IReadOnlyDictionary<string, KvValue> Values)> GetAsync(
        List<string> names, int from, CancellationToken cancellationToken)
    {
        for (var count = names.Count - from; count > 1; count /= 2)
        {
            try
            {
                return (count, await _kv.GetManyAsync(names.GetRange(from, count), cancellationToken: cancellationToken).ConfigureAwait(false));
            }
            catch (KvException e) when (e.StatusCode is 413 or 400)
            {
                // Fewer.
            }
        }

        var value = await _kv.GetAsync(names[from], cancellationToken: cancellationToken).ConfigureAwait(false);
        return (1, new Dictionary<string, KvValue>(StringComparer.Ordinal) { [names[from]] = value });
    }
}
