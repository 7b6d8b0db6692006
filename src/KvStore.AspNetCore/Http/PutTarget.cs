namespace KvStore.Http;

/// <summary>Where the body of a put goes: a namespace, on a condition or on none.</summary>
/// <param name="kv">The namespace; with a condition, an <see cref="IKvExtendedNamespace"/>.</param>
/// <param name="condition">What must hold at the commit; null for nothing.</param>
internal readonly struct PutTarget(IKvNamespace kv, KvCondition? condition = null)
{
    /// <summary>The namespace.</summary>
    public IKvNamespace Namespace => kv;

    /// <summary>Puts a value.</summary>
    /// <returns>The revision of the entry; 0 where there is no condition.</returns>
    /// <exception cref="RefusedException">The condition does not hold (412). Nothing has changed.</exception>
    public ValueTask<long> PutAsync(string key, KvContent content, KvPutOptions? options, CancellationToken cancellationToken)
    {
        return condition is { } wanted && kv is IKvExtendedNamespace extended
            ? TryPut(extended.TryPutAsync(key, content, wanted, options, cancellationToken))
            : Put(kv.PutAsync(key, content, options, cancellationToken));

        static ValueTask<long> Put(ValueTask put)
        {
            if (!put.IsCompletedSuccessfully)
            {
                return Await(put);
            }

            put.GetAwaiter().GetResult();
            return default;
        }

        static async ValueTask<long> Await(ValueTask put)
        {
            await put.ConfigureAwait(false);
            return 0;
        }

        static async ValueTask<long> TryPut(ValueTask<KvWriteResult> put)
        {
            var result = await put.ConfigureAwait(false);
            return result.Succeeded ? result.Revision : throw new RefusedException(Failure.PreconditionFailed);
        }
    }
}
