using KvStore.Diagnostics;
using KvStore.Keys;
using KvStore.Replication;
using KvStore.Rules;

namespace KvStore.Regions;

/// <summary>A region's view of a namespace, as a namespace.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class KvRegion(KvNamespace owner, RegionView view, KvTelemetry telemetry, int keyBytesMax) : IKvNamespace
{
    /// <summary>The namespace that it is a view of.</summary>
    public KvNamespace Owner => owner;

    /// <summary>What has arrived in the region.</summary>
    public RegionView View => view;

    public string Name => owner.Name;

    public ValueTask<KvValue> GetAsync(string key, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        KvMetrics.IsObserved ? GetObserved(key, options, cancellationToken) : Get(key, options, cancellationToken);

    public ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        owner.GetManyAsync(keys, options, this, cancellationToken);

    public ValueTask PutAsync(
        string key, KvContent content, KvPutOptions? options = null, CancellationToken cancellationToken = default) =>
        owner.PutAsync(key, content, options, this, cancellationToken);

    public ValueTask DeleteAsync(string key, CancellationToken cancellationToken = default) =>
        owner.DeleteAsync(key, this, cancellationToken);

    public ValueTask<KvListPage> ListAsync(KvListOptions? options = null, CancellationToken cancellationToken = default) =>
        owner.ListAsync(options, this, cancellationToken);

    /// <summary>Reads a value as text, from the cache of decoded text when it is there.</summary>
    public ValueTask<string?> GetTextAsync(string key, KvGetOptions? options, CancellationToken cancellationToken) =>
        KvMetrics.IsObserved ? GetTextObserved(key, options, cancellationToken) : GetText(key, options, cancellationToken);

    /// <summary>Reads a key, unobserved.</summary>
    public ValueTask<KvValue> Get(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        if (options is not null || cancellationToken.IsCancellationRequested)
        {
            owner.CheckRead(key, options, cancellationToken);
        }

        return new(Get(key, "GET", options is null ? null : ReadRules.CacheTtlSeconds(options)));
    }

    /// <summary>Reads a key that is in UTF-8 and has been checked.</summary>
    public bool TryGet(ReadOnlySpan<byte> utf8Key, out KvValue value)
    {
        owner.CheckDisposed();
        return view.TryGet(new Utf8Key(utf8Key), cacheTtlSeconds: null, out value);
    }

    /// <summary>Reads a key, with the status of the cache.</summary>
    public KvValue Get(string key, string operation, int? cacheTtlSeconds)
    {
        owner.CheckDisposed();
        ArgumentNullException.ThrowIfNull(key);
        KvValue value;
        if (KeyRules.TryAscii(key, keyBytesMax, out var hash))
        {
            view.TryGet(new AsciiKey(key, hash), cacheTtlSeconds, out value);
            return value;
        }

        using var encoded = new EncodedKey(key, keyBytesMax, operation, stackalloc byte[EncodedKey.StackBytes]);
        view.TryGet(encoded.Key, cacheTtlSeconds, out value);
        return value;
    }

    /// <summary>Reads a value as text, unobserved.</summary>
    public ValueTask<string?> GetText(string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        if (options is not null || cancellationToken.IsCancellationRequested)
        {
            owner.CheckRead(key, options, cancellationToken);
        }

        owner.CheckDisposed();
        ArgumentNullException.ThrowIfNull(key);
        if (view.Cache is null && KeyRules.TryAscii(key, keyBytesMax, out var hash))
        {
            if (!view.TryFind(new AsciiKey(key, hash), out var arrived))
            {
                return default;
            }

            if (!arrived.Record.IsLarge)
            {
                return new(owner.TextOf(hash, arrived.Record));
            }
        }

        var value = Get(key, "GET", ReadRules.CacheTtlSeconds(options));
        return value.IsLarge ? ReadTextAsync(value, cancellationToken) : new(value.GetText());
    }

    private static async ValueTask<string?> ReadTextAsync(KvValue value, CancellationToken cancellationToken)
    {
        using (value)
        {
            return (await value.LoadAsync(cancellationToken).ConfigureAwait(false)).GetText();
        }
    }

    private ValueTask<KvValue> GetObserved(string key, KvGetOptions? options, CancellationToken cancellationToken) =>
        telemetry.ObserveAsync("get", () => Get(key, options, cancellationToken), static value => value.Exists ? "hit" : "miss");

    private ValueTask<string?> GetTextObserved(string key, KvGetOptions? options, CancellationToken cancellationToken) =>
        telemetry.ObserveAsync("get", () => GetText(key, options, cancellationToken), static text => text is null ? "miss" : "hit");
}
