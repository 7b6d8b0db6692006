using System.Runtime.CompilerServices;

namespace KvStore.Prefixes;

/// <summary>The keys of an extended namespace that begin with a prefix, without the prefix.</summary>
/// <param name="inner">The namespace, which is not prefixed itself.</param>
/// <param name="prefix">The prefix, not empty.</param>
internal sealed class PrefixedExtendedNamespace(IKvExtendedNamespace inner, string prefix) : PrefixedNamespace(inner, prefix), IKvExtendedNamespace
{
    /// <summary>The namespace.</summary>
    public IKvExtendedNamespace InnerExtended => inner;

    public ValueTask<KvWriteResult> TryPutAsync(
        string key, KvContent content, KvCondition condition, KvPutOptions? options = null, CancellationToken cancellationToken = default) =>
        inner.TryPutAsync(InnerKeyOf(key, "PUT"), content, condition, options, cancellationToken);

    public ValueTask<KvWriteResult> TryDeleteAsync(string key, KvCondition condition, CancellationToken cancellationToken = default) =>
        inner.TryDeleteAsync(InnerKeyOf(key, "DELETE"), condition, cancellationToken);

    public ValueTask<bool> TouchAsync(string key, TimeSpan? expirationTtl, CancellationToken cancellationToken = default) =>
        inner.TouchAsync(InnerKeyOf(key, "PUT"), expirationTtl, cancellationToken);

    public ValueTask<KvWriteResult> TryTouchAsync(
        string key, TimeSpan? expirationTtl, KvCondition condition, CancellationToken cancellationToken = default) =>
        inner.TryTouchAsync(InnerKeyOf(key, "PUT"), expirationTtl, condition, cancellationToken);

    public ValueTask PutManyAsync(IReadOnlyCollection<KvEntry> entries, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(entries);
        return inner.PutManyAsync([.. entries.Select(entry => entry with { Key = KeyAmongMany(entry.Key) })], cancellationToken);
    }

    public ValueTask<long> DeleteManyAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(keys);
        return inner.DeleteManyAsync([.. keys.Select(KeyAmongMany)], cancellationToken);
    }

    public ValueTask<long> DeletePrefixAsync(string prefix, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        return inner.DeletePrefixAsync(InnerPrefixOf(prefix), cancellationToken);
    }

    public IAsyncEnumerable<KvScanEntry> ScanAsync(string? prefix = null, CancellationToken cancellationToken = default)
    {
        return Outer(inner.ScanAsync(InnerPrefixOf(prefix), cancellationToken), cancellationToken);

        async IAsyncEnumerable<KvScanEntry> Outer(
            IAsyncEnumerable<KvScanEntry> entries, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await foreach (var entry in entries.WithCancellation(cancellationToken).ConfigureAwait(false))
            {
                yield return entry with { Key = OuterKeyOf(entry.Key) };
            }
        }
    }

    public IAsyncEnumerable<KvChange> WatchAsync(KvWatchOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new KvWatchOptions();
        var innerOptions = options.Key is { } key
            ? options with { Key = InnerKeyOf(key, "GET") }
            : options with { Prefix = InnerPrefixOf(options.Prefix) };
        return Outer(inner.WatchAsync(innerOptions, cancellationToken), cancellationToken);

        async IAsyncEnumerable<KvChange> Outer(
            IAsyncEnumerable<KvChange> changes, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await foreach (var change in changes.WithCancellation(cancellationToken).ConfigureAwait(false))
            {
                // A mark is of no key.
                yield return string.IsNullOrEmpty(change.Key) ? change : change with { Key = OuterKeyOf(change.Key) };
            }
        }
    }

    // A key that no namespace takes is passed on as it is: the namespace refuses it, and says which of the many it is. With the prefix
    // before it, it would be a key.
    private string KeyAmongMany(string key) => key is null or "" or "." or ".." ? key! : Prefix + key;
}
