using KvStore.Rules;
using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Hybrid;

/// <content>Calls of factories, which callers of a key at the same time share.</content>
internal sealed partial class KvHybridCache
{
    private ValueTask<T> CreateAsync<TState, T>(
        string key,
        Look look,
        long ended,
        TState state,
        Func<TState, CancellationToken, ValueTask<T>> factory,
        EntryPlan plan,
        IEnumerable<string>? tags,
        CancellationToken cancellationToken)
    {
        _adapter.CountRequest("get", look == Look.Failed ? "error" : "miss");
        if ((plan.Flags & HybridCacheEntryFlags.DisableUnderlyingData) != 0)
        {
            return default;
        }

        var stored = TagSet.Of(tags);
        if (!AreValid(stored))
        {
            // The factory is shared by its callers, and its value is not stored.
            plan = plan with { Flags = plan.Flags | WriteFlags };
            stored = [];
        }

        var canLeave = cancellationToken.CanBeCanceled;
        if (_writes.TryBegin<T>(key, ended, plan.Flags, stored, canLeave, out var creation))
        {
            if (canLeave)
            {
                // The factory goes on for others when this caller is cancelled, also in its synchronous part.
                _ = Task.Run(() => RunAsync(creation, state, factory, plan), CancellationToken.None);
            }
            else
            {
                _ = RunAsync(creation, state, factory, plan);
            }
        }

        return creation.TryGet(out var created) ? new ValueTask<T>(ForCaller(creation.Key, created))
            : canLeave ? WaitAsync(creation, cancellationToken)
            : WaitAsync(creation);
    }

    private async ValueTask<T> WaitAsync<T>(Creation<T> creation) => ForCaller(creation.Key, await creation.Task.ConfigureAwait(false));

    private async ValueTask<T> WaitAsync<T>(Creation<T> creation, CancellationToken cancellationToken)
    {
        try
        {
            return ForCaller(creation.Key, await creation.Task.WaitAsync(cancellationToken).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested && !creation.Task.IsCompleted)
        {
            _writes.Leave(creation);
            throw;
        }
    }

    private async Task RunAsync<TState, T>(Creation<T> creation, TState state, Func<TState, CancellationToken, ValueTask<T>> factory, EntryPlan plan)
    {
        try
        {
            var created = await FindAgainAsync(creation, plan).ConfigureAwait(false)
                ?? await StoreAsync(creation, await factory(state, creation.Token).ConfigureAwait(false), plan).ConfigureAwait(false);
            _writes.End(creation);
            creation.Complete(created);
        }
        catch (Exception e)
        {
            _writes.End(creation);
            creation.Fail(e);
        }
    }

    // Another creation may have ended since the caller looked.
    private async ValueTask<Created<T>?> FindAgainAsync<T>(Creation<T> creation, EntryPlan plan)
    {
        if (plan.ReadsNothing || !creation.MayBeThere || (await Store.FindAsync<T>(creation.Key, plan.Flags, creation.Token).ConfigureAwait(false)).Look != Look.Found)
        {
            return null;
        }

        // A caller who joins from now on may have come after a removal. So nobody joins any more, and what is there then is for those who have.
        _writes.Close(creation);
        var (look, value) = await Store.FindAsync<T>(creation.Key, plan.Flags, creation.Token).ConfigureAwait(false);
        return look == Look.Found ? await SharedAsync(creation.Key, value).ConfigureAwait(false) : null;
    }

    private ValueTask<Created<T>> SharedAsync<T>(string key, T value)
    {
        if (ImmutableTypes<T>.IsImmutable || value is null)
        {
            return new(new Created<T>(value));
        }

        using var payload = new PayloadWriter(int.MaxValue);
        return new(TrySerialize(key, value, payload, out var serializer) ? new Created<T>(value, payload.Written.ToArray(), serializer) : new Created<T>(value));
    }

    private async ValueTask<Created<T>> StoreAsync<T>(Creation<T> creation, T value, EntryPlan plan)
    {
        var isShared = ImmutableTypes<T>.IsImmutable || value is null;
        if (isShared && plan.WritesNothing)
        {
            return new Created<T>(value);
        }

        using var payload = new PayloadWriter(_payloadBytesMax);
        IHybridCacheSerializer<T>? serializer = null;
        var isSerialized = value is null || TrySerialize(creation.Key, value, payload, out serializer);
        if (!plan.WritesNothing && _writes.TryBeginStoring(creation) is { } earlier)
        {
            await earlier.ConfigureAwait(false);
            await WriteAsync(creation.Key, value, isSerialized, payload, creation.Tags, plan).ConfigureAwait(false);
        }

        return isShared || !isSerialized ? new Created<T>(value) : new Created<T>(value, payload.Written.ToArray(), serializer);
    }

    // Unlike a value that an older program wrote, this one was written just now: a mistake of the application, which shows it to the caller.
    private T ForCaller<T>(string key, Created<T> created)
    {
        try
        {
            return created.ForCaller();
        }
        catch (Exception e)
        {
            _logger.DeserializationFailed(VisibleKey.Quote(key), typeof(T), HybridStore.PlaceOf(e));
            throw;
        }
    }
}
