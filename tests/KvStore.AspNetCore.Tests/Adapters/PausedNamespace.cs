namespace KvStore.AspNetCore.Tests.Adapters;

/// <summary>A namespace whose writes a test can hold up, before or after they are made.</summary>
internal sealed class PausedNamespace(IKvExtendedNamespace kv) : IKvExtendedNamespace
{
    /// <summary>Awaited before a put is made; gets the key.</summary>
    public Func<string, Task> BeforePut { get; set; } = static _ => Task.CompletedTask;

    /// <summary>Awaited after a put was made, before the call returns.</summary>
    public Func<string, Task> AfterPut { get; set; } = static _ => Task.CompletedTask;

    /// <summary>Awaited before a conditional delete is made.</summary>
    public Func<string, Task> BeforeDelete { get; set; } = static _ => Task.CompletedTask;

    public string Name => kv.Name;

    public ValueTask<KvValue> GetAsync(string key, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        kv.GetAsync(key, options, cancellationToken);

    public ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        kv.GetManyAsync(keys, options, cancellationToken);

    public async ValueTask PutAsync(string key, KvContent content, KvPutOptions? options = null, CancellationToken cancellationToken = default)
    {
        await BeforePut(key);
        await kv.PutAsync(key, content, options, cancellationToken);
        await AfterPut(key);
    }

    public ValueTask DeleteAsync(string key, CancellationToken cancellationToken = default) => kv.DeleteAsync(key, cancellationToken);

    public ValueTask<KvListPage> ListAsync(KvListOptions? options = null, CancellationToken cancellationToken = default) =>
        kv.ListAsync(options, cancellationToken);

    public ValueTask<KvWriteResult> TryPutAsync(
        string key, KvContent content, KvCondition condition, KvPutOptions? options = null, CancellationToken cancellationToken = default) =>
        kv.TryPutAsync(key, content, condition, options, cancellationToken);

    public async ValueTask<KvWriteResult> TryDeleteAsync(string key, KvCondition condition, CancellationToken cancellationToken = default)
    {
        await BeforeDelete(key);
        return await kv.TryDeleteAsync(key, condition, cancellationToken);
    }

    public ValueTask<bool> TouchAsync(string key, TimeSpan? expirationTtl, CancellationToken cancellationToken = default) =>
        kv.TouchAsync(key, expirationTtl, cancellationToken);

    public ValueTask<KvWriteResult> TryTouchAsync(
        string key, TimeSpan? expirationTtl, KvCondition condition, CancellationToken cancellationToken = default) =>
        kv.TryTouchAsync(key, expirationTtl, condition, cancellationToken);

    public ValueTask PutManyAsync(IReadOnlyCollection<KvEntry> entries, CancellationToken cancellationToken = default) =>
        kv.PutManyAsync(entries, cancellationToken);

    public ValueTask<long> DeleteManyAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken = default) =>
        kv.DeleteManyAsync(keys, cancellationToken);

    public ValueTask<long> DeletePrefixAsync(string prefix, CancellationToken cancellationToken = default) =>
        kv.DeletePrefixAsync(prefix, cancellationToken);

    public IAsyncEnumerable<KvScanEntry> ScanAsync(string? prefix = null, CancellationToken cancellationToken = default) =>
        kv.ScanAsync(prefix, cancellationToken);

    public IAsyncEnumerable<KvChange> WatchAsync(KvWatchOptions? options = null, CancellationToken cancellationToken = default) =>
        kv.WatchAsync(options, cancellationToken);
}
