namespace KvStore.AspNetCore.Tests;

/// <summary>A namespace in front of another that can be exchanged, so that each test has an empty one under the same name.</summary>
internal sealed class SwitchedNamespace(string name) : IKvNamespace
{
    public string Name => name;

    public IKvNamespace? Current { get; set; }

    public ValueTask<KvValue> GetAsync(string key, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        Current!.GetAsync(key, options, cancellationToken);

    public ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        Current!.GetManyAsync(keys, options, cancellationToken);

    public ValueTask PutAsync(string key, KvContent content, KvPutOptions? options = null, CancellationToken cancellationToken = default) =>
        Current!.PutAsync(key, content, options, cancellationToken);

    public ValueTask DeleteAsync(string key, CancellationToken cancellationToken = default) => Current!.DeleteAsync(key, cancellationToken);

    public ValueTask<KvListPage> ListAsync(KvListOptions? options = null, CancellationToken cancellationToken = default) =>
        Current!.ListAsync(options, cancellationToken);
}
