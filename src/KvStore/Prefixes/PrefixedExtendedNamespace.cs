using System.Runtime.CompilerServices;
using KvStore.Rules;
using KvStore.Writes;

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
        return inner.PutManyAsync(
            [.. entries.Select((entry, number) => entry with { Key = InnerKeyAmongMany(entry.Key, number, "PUT", "written") })], cancellationToken);
    }

    public ValueTask<long> DeleteManyAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(keys);
        return inner.DeleteManyAsync([.. keys.Select((key, number) => InnerKeyAmongMany(key, number, "DELETE", "deleted"))], cancellationToken);
    }

    public ValueTask<long> DeletePrefixAsync(string prefix, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        return inner.DeletePrefixAsync(InnerPrefixOf(prefix, "DELETE"), cancellationToken);
    }

    public IAsyncEnumerable<KvScanEntry> ScanAsync(string? prefix = null, CancellationToken cancellationToken = default)
    {
        return Outer(inner.ScanAsync(InnerPrefixOf(prefix, "LIST"), cancellationToken), cancellationToken);

        async IAsyncEnumerable<KvScanEntry> Outer(
            IAsyncEnumerable<KvScanEntry> entries, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await foreach (var entry in entries.WithCancellation(cancellationToken).ConfigureAwait(false))
            {
                yield return new KvScanEntry(OuterKeyOf(entry.Key), entry.Value);
            }
        }
    }

    public IAsyncEnumerable<KvChange> WatchAsync(KvWatchOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new KvWatchOptions();
        var innerOptions = options.Key is { } key
            ? options with { Key = InnerKeyOf(key, "WATCH") }
            : options with { Prefix = InnerPrefixOf(options.Prefix, "WATCH") };
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

    // The key is checked here, so that a message quotes what the caller gave and counts its bytes. The namespace refuses null, and says which
    // of the many it is.
    private string InnerKeyAmongMany(string? key, int number, string operation, string done)
    {
        if (key is null)
        {
            return null!;
        }

        try
        {
            KeyRules.Check(key, KeyBytesMax, operation);
        }
        catch (Exception e) when (e is KvException or KvArgumentException)
        {
            throw NamedMany.WithEntry(e, number, key, NamedMany.Nothing(done));
        }

        return Prefix + key;
    }
}
