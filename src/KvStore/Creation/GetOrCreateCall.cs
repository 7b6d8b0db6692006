using System.Diagnostics;
using KvStore.Reads;
using KvStore.Rules;

namespace KvStore.Creation;

/// <summary>One call that found no fresh value, or has to look closer.</summary>
/// <remarks>
/// The factory runs in a flight (<see cref="Flight"/>), which other callers join. The flight reads the key once more before it calls the
/// factory, because another one may have stored a value after this call had read. It stores the value before it ends, and only if nobody
/// else has written the key meanwhile.
/// </remarks>
/// <param name="kv">The namespace.</param>
/// <param name="flights">The factory calls of the namespace.</param>
/// <param name="key">The key.</param>
/// <param name="json">How the value becomes JSON.</param>
/// <param name="options">The options.</param>
/// <param name="state">What the factory is called with.</param>
/// <param name="factory">The factory.</param>
internal sealed class GetOrCreateCall<TState, T>(
    IKvExtendedNamespace kv,
    Flights flights,
    string key,
    JsonOf<T> json,
    KvGetOrCreateOptions? options,
    TState state,
    Func<TState, CancellationToken, ValueTask<KvCreated<T>>> factory)
{
    /// <summary>Returns the value that was read, or creates one.</summary>
    /// <param name="get">The read of the key.</param>
    /// <param name="cancellationToken">Ends this call, not the factory, unless nobody else waits.</param>
    public async ValueTask<T> RunAsync(ValueTask<KvValue> get, CancellationToken cancellationToken)
    {
        while (true)
        {
            var (freshness, old) = await ReadAsync(await get.ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
            if (freshness is Freshness.Eager or Freshness.Stale)
            {
                RefreshInBackground();
            }

            if (freshness is Freshness.Fresh or Freshness.Eager or Freshness.Stale)
            {
                return old!;
            }

            cancellationToken.ThrowIfCancellationRequested();
            CheckTtl(options?.ExpirationTtl);
            var own = new Flight<T>(key);
            var flight = flights.GetOrBegin(own);
            if (flight == own)
            {
                // It never throws: its outcome is that of the flight.
                _ = FlyAsync(own, isInBackground: false);
            }

            if (flight == own || flight.TryJoin())
            {
                try
                {
                    if (await ResultOfAsync(flight, isOwn: flight == own, cancellationToken).ConfigureAwait(false) is { } result)
                    {
                        return flight == own ? result.Value : result.ForAnother(json);
                    }
                }
                catch (Exception e) when (freshness == Freshness.OnlyOnError && !cancellationToken.IsCancellationRequested && !flights.IsClosed)
                {
                    if (flight == own)
                    {
                        flights.LogStaleOnError(key, e);
                    }

                    return old!;
                }
                finally
                {
                    flight.Leave();
                }
            }
            else
            {
                // The factory was cancelled and has not ended. There is one at a time.
                await EndOfAsync(flight, cancellationToken).ConfigureAwait(false);
            }

            get = kv.GetAsync(key, options: null, cancellationToken);
        }
    }

    // Null where the flight was for another type: then the caller reads what it stored.
    private async ValueTask<FlightResult<T>?> ResultOfAsync(Flight flight, bool isOwn, CancellationToken cancellationToken)
    {
        // A factory that has been called by this very call cannot wait for anybody yet.
        var waiter = isOwn && flight.IsEnded ? null : FlightWaits.Begin(flight, flights.NamespaceName);
        try
        {
            if (flight is Flight<T> same)
            {
                return await same.Result.WaitAsync(cancellationToken).ConfigureAwait(false);
            }

            await Task.WhenAny(flight.Ended).WaitAsync(cancellationToken).ConfigureAwait(false);
            return null;
        }
        finally
        {
            FlightWaits.End(waiter, flight);
        }
    }

    private async ValueTask EndOfAsync(Flight flight, CancellationToken cancellationToken)
    {
        var waiter = FlightWaits.Begin(flight, flights.NamespaceName);
        try
        {
            await Task.WhenAny(flight.Ended).WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            FlightWaits.End(waiter, flight);
        }
    }

    private void RefreshInBackground()
    {
        if (flights.IsUnderway(key))
        {
            return;
        }

        CheckTtl(options?.ExpirationTtl);
        var flight = new Flight<T>(key);
        if (flights.GetOrBegin(flight) == flight)
        {
            // Elsewhere, because the factory's first steps may take long, and the caller has its value.
            _ = Task.Run(() => FlyAsync(flight, isInBackground: true));
        }
    }

    // Never throws.
    private async Task FlyAsync(Flight<T> flight, bool isInBackground)
    {
        try
        {
            var (value, utf8) = await FindOrCreateAsync(flight, isInBackground).ConfigureAwait(false);
            var result = new FlightResult<T>(value, FlightResult<T>.IsShared(value) ? null : utf8 ?? json.Write(value));
            flights.End(flight);
            flight.Succeed(result);
        }
        catch (Exception e)
        {
            flights.End(flight);
            if (isInBackground && !flights.IsClosed)
            {
                flights.LogRefreshFailed(key, e);
            }

            flight.Fail(flights.IsClosed && e is OperationCanceledException ? DisposedNamespace.Exception(flights.NamespaceName, e) : e);
        }
    }

    private async ValueTask<(T Value, byte[]? Utf8)> FindOrCreateAsync(Flight<T> flight, bool isInBackground)
    {
        var newest = kv is ILocalNamespace local
            ? local.ReadNewest(key)
            : await kv.GetAsync(key, options: null, flight.Token).ConfigureAwait(false);
        var revision = newest.Revision;
        var (freshness, found) = await ReadAsync(newest, flight.Token).ConfigureAwait(false);
        if (freshness == Freshness.Fresh || (freshness is Freshness.Eager or Freshness.Stale && !isInBackground))
        {
            return (found!, null);
        }

        var created = await CallFactoryAsync(flight).ConfigureAwait(false);
        if (created.IsSkipped)
        {
            flights.Count("skipped");
            return (created.Value, null);
        }

        var utf8 = json.Write(created.Value);
        await StoreAsync(flight, created, utf8, revision).ConfigureAwait(false);
        return (created.Value, utf8);
    }

    private async ValueTask<KvCreated<T>> CallFactoryAsync(Flight<T> flight)
    {
        flight.MakeCurrent();
        try
        {
            return await factory(state, flight.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            flights.Count(e is OperationCanceledException && flight.Token.IsCancellationRequested ? "cancelled" : "error");
            throw;
        }
    }

    // Where nobody waits any more nothing is stored, although the factory has returned a value: a call that was cancelled changes nothing.
    private async ValueTask StoreAsync(Flight<T> flight, KvCreated<T> created, byte[] utf8, long revision)
    {
        var putOptions = new KvPutOptions
        {
            ExpirationTtl = TtlOf(created.ExpirationTtl ?? options?.ExpirationTtl, Random.Shared.NextDouble()),
            Metadata = created.Metadata,
        };
        try
        {
            var written = await kv.TryPutAsync(key, utf8, KvCondition.Revision(revision), putOptions, flight.Token).ConfigureAwait(false);
            flights.Count(written.Succeeded ? "stored" : "overtaken");
        }
        catch (OperationCanceledException)
        {
            flights.Count("cancelled");
            throw;
        }
        catch (Exception e) when (e is KvPersistenceException or KvException { ParamName: null })
        {
            // The disk, or the size or the rate that the namespace allows: the callers can do nothing about it, and have a value.
            flights.LogNotStored(key, e);
            flights.Count("not_stored");
        }
    }

    private TimeSpan? TtlOf(TimeSpan? fresh, double random) => options is null ? fresh : options.StoredTtl(fresh, random);

    // Before the factory is called for a value that could not be stored.
    private void CheckTtl(TimeSpan? fresh)
    {
        if (fresh is not null && kv is ILocalNamespace local)
        {
            var now = flights.TimeProvider.GetUtcNow();
            ExpirationRules.Check(new KvPutOptions { ExpirationTtl = TtlOf(fresh, random: 0) }, local.Limits, now, kv.Name, key);
            ExpirationRules.Check(new KvPutOptions { ExpirationTtl = TtlOf(fresh, random: 1) }, local.Limits, now, kv.Name, key);
        }
    }

    private async ValueTask<(Freshness Freshness, T? Value)> ReadAsync(KvValue value, CancellationToken cancellationToken)
    {
        if (!value.Exists)
        {
            return (Freshness.Missing, default);
        }

        var freshness = options?.FreshnessOf(value.Deadline, flights.TimeProvider.GetUtcNow()) ?? Freshness.Fresh;
        if (!value.IsLarge)
        {
            return (freshness, json.Read(kv, key, value));
        }

        try
        {
            return (freshness, json.Read(kv, key, await value.LoadAsync(cancellationToken).ConfigureAwait(false)));
        }
        finally
        {
            kv.DisposeIfOwned(value);
        }
    }
}
