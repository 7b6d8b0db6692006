using System.Runtime.CompilerServices;
using System.Text.Json;
using KvStore.Rules;

namespace KvStore.Typed;

/// <summary>Watches entries with their types.</summary>
internal static class TypedWatch
{
    /// <summary>The changes of some keys of a namespace.</summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="options">Which keys, and from when on.</param>
    /// <param name="isKey">Whether changes of a key are shown; null for all.</param>
    /// <param name="shape">How the entries are read.</param>
    /// <param name="cancellationToken">Ends the watch.</param>
    /// <exception cref="NotSupportedException">The namespace cannot be watched.</exception>
    public static IAsyncEnumerable<KvTypedChange<TValue, TMetadata>> WatchAsync<TValue, TMetadata>(
        IKvNamespace kv, KvWatchOptions options, Func<string, bool>? isKey, KvTypedShape<TValue, TMetadata> shape, CancellationToken cancellationToken)
    {
        var extended = kv as IKvExtendedNamespace ?? throw new NotSupportedException(
            $"The namespace {VisibleKey.Quote(kv.Name)} cannot be watched, because its type {kv.GetType().Name} is no {nameof(IKvExtendedNamespace)}. Watch the {nameof(KvNamespace)} itself: views of regions and remote namespaces have no changes to show.");
        return ReadAsync(extended, extended.WatchAsync(options, cancellationToken), isKey, shape, cancellationToken);
    }

    // Otherwise one value that does not fit would end each watch that begins before it.
    private static async ValueTask<KvTypedValue<TValue, TMetadata>> ReadAsync<TValue, TMetadata>(
        IKvExtendedNamespace kv, KvChange change, KvTypedShape<TValue, TMetadata> shape, CancellationToken cancellationToken)
    {
        try
        {
            return await shape.ReadAsync(kv, change.Key, change.Value, cancellationToken).ConfigureAwait(false);
        }
        catch (JsonException e)
        {
            var goOn = change.Revision > 0
                ? Invariant($"A watch after revision {change.Revision} goes on behind it.")
                : "It was there when the watch began: correct or delete it.";
            throw new JsonException($"{e.Message} {goOn}", path: null, e.LineNumber, e.BytePositionInLine);
        }
    }

    private static async IAsyncEnumerable<KvTypedChange<TValue, TMetadata>> ReadAsync<TValue, TMetadata>(
        IKvExtendedNamespace kv,
        IAsyncEnumerable<KvChange> changes,
        Func<string, bool>? isKey,
        KvTypedShape<TValue, TMetadata> shape,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var change in changes.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            if (change.Kind is KvChangeKind.Current or KvChangeKind.Reset || isKey is null || isKey(change.Key))
            {
                var entry = change.Kind == KvChangeKind.Put
                    ? await ReadAsync(kv, change, shape, cancellationToken).ConfigureAwait(false)
                    : default;
                yield return new KvTypedChange<TValue, TMetadata>(change.Kind, change.Key, change.Revision, entry);
            }
        }
    }
}
