using KvStore.Diagnostics;
using KvStore.Prefixes;
using KvStore.Reads;
using KvStore.Rules;

namespace KvStore.Updates;

/// <summary>What an update makes of an entry.</summary>
/// <param name="Kind">Whether anything is written.</param>
/// <param name="Value">The value to put.</param>
/// <param name="Result">What the caller gets.</param>
internal readonly record struct Updated<T>(UpdateKind Kind, KvContent Value, T Result);

/// <summary>What becomes of an entry.</summary>
internal enum UpdateKind
{
    /// <summary>It gets another value.</summary>
    Put,

    /// <summary>It is deleted.</summary>
    Delete,

    /// <summary>It stays.</summary>
    Keep,
}

/// <summary>Reads an entry, makes something of it and writes that if nobody has written the entry meanwhile; otherwise does it again.</summary>
internal static class KeyUpdate
{
    /// <summary>
    /// How often a function of a caller is called for one update. Updates take turns, so only a function that writes its own key, or one that
    /// takes much longer than the entry stays the same, is called so often.
    /// </summary>
    public const int CallsMax = 1000;

    /// <summary>Updates an entry.</summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="options">Expiration and metadata; null to keep those of the entry.</param>
    /// <param name="state">What the function is called with.</param>
    /// <param name="update">The function: the namespace, the whole key, the newest version of the entry, in memory, and the state.</param>
    /// <param name="callsBack">Whether the function calls one of the caller, which may do anything.</param>
    /// <param name="cancellationToken">Ends the update between two tries.</param>
    /// <exception cref="InvalidOperationException">The caller is the function of an update of the same key.</exception>
    /// <exception cref="KvException">The entry was written during every call of a function of the caller (409).</exception>
    public static ValueTask<T> RunAsync<TState, T>(
        IKvExtendedNamespace kv,
        string key,
        KvPutOptions? options,
        TState state,
        Func<IKvNamespace, string, KvValue, TState, Updated<T>> update,
        bool callsBack,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(kv);
        ArgumentNullException.ThrowIfNull(key);
        if (kv is PrefixedExtendedNamespace view)
        {
            (kv, key) = (view.InnerExtended, view.InnerKeyOf(key, "PUT"));
        }

        RunningUpdate.ThrowIfWithin(kv, key);
        return UpdateAsync(kv, key, options, state, update, callsBack, cancellationToken);
    }

    private static async ValueTask<T> UpdateAsync<TState, T>(
        IKvExtendedNamespace kv,
        string key,
        KvPutOptions? options,
        TState state,
        Func<IKvNamespace, string, KvValue, TState, Updated<T>> update,
        bool callsBack,
        CancellationToken cancellationToken)
    {
        var queue = UpdateTurns.QueueOf(key);
        var hasTurn = UpdateTurns.IsTaken(queue) && await UpdateTurns.TakeAsync(queue, cancellationToken).ConfigureAwait(false);
        try
        {
            for (var call = 1; ; call++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var newest = await ReadNewestAsync(kv, key, cancellationToken).ConfigureAwait(false);
                try
                {
                    var value = newest.IsLarge ? await newest.LoadAsync(cancellationToken).ConfigureAwait(false) : newest;
                    var updated = callsBack ? RunningUpdate.Call(kv, key, value, state, update) : update(kv, key, value, state);
                    if (await TryWriteAsync(kv, key, options, newest, updated, cancellationToken).ConfigureAwait(false))
                    {
                        return updated.Result;
                    }
                }
                finally
                {
                    kv.DisposeIfOwned(newest);
                }

                if (callsBack && call == CallsMax)
                {
                    throw new KvException(
                        409,
                        "PUT",
                        Invariant($"The entry was written during each of {CallsMax} calls of the function that updates it. The function must not write its own key, and must be quicker than the others who write it. {NamedEntry.NothingStored(kv.Name, key)}"));
                }

                KvMetrics.UpdateRetries.Add(1, new KeyValuePair<string, object?>("db.namespace", kv.Name));
                hasTurn = hasTurn || await UpdateTurns.TakeAsync(queue, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            if (hasTurn)
            {
                queue.Release();
            }
        }
    }

    private static async ValueTask<KvValue> ReadNewestAsync(IKvExtendedNamespace kv, string key, CancellationToken cancellationToken)
    {
        var newest = kv is ILocalNamespace local
            ? local.ReadNewest(key)
            : await kv.GetAsync(key, options: null, cancellationToken).ConfigureAwait(false);
        if (newest is { Exists: true, Revision: 0 })
        {
            throw new NotSupportedException($"The namespace {VisibleKey.Quote(kv.Name)} knows no revisions, so a read and a write of the key {VisibleKey.Quote(key)} cannot be one update.");
        }

        return newest;
    }

    private static async ValueTask<bool> TryWriteAsync<T>(
        IKvExtendedNamespace kv, string key, KvPutOptions? options, KvValue current, Updated<T> updated, CancellationToken cancellationToken)
    {
        var condition = KvCondition.Revision(current.Revision);
        switch (updated.Kind)
        {
            case UpdateKind.Put:
                var written = await kv.TryPutAsync(key, updated.Value, condition, options ?? OptionsOf(current), cancellationToken).ConfigureAwait(false);
                return written.Succeeded;

            case UpdateKind.Delete when current.Exists:
                var deleted = await kv.TryDeleteAsync(key, condition, cancellationToken).ConfigureAwait(false);
                return deleted.Succeeded;

            default:
                return true;
        }
    }

    // An entry that has less than the least time to live left keeps that too.
    private static KvPutOptions? OptionsOf(in KvValue current) => !current.Exists || (current.Metadata.IsNull && current.Deadline.IsNone)
        ? null
        : new KvPutOptions { Expiration = current.Expiration, KeptDeadline = current.Deadline, Metadata = current.Metadata };
}
