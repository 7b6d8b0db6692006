using Microsoft.Extensions.Logging;
using Microsoft.FeatureManagement;

namespace KvStore.Definitions;

/// <summary>Definitions of features from the entries of a namespace, which a watch keeps up to date.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
/// <param name="open">Returns the namespace; called once, when definitions are needed.</param>
/// <param name="adapter">The prefix, and the counter of requests.</param>
/// <param name="logger">The log.</param>
internal sealed class KvFeatureDefinitionProvider(Func<IKvExtendedNamespace> open, KvAdapter adapter, ILogger logger) : IFeatureDefinitionProvider, IDisposable
{
    private readonly Lock _lock = new();
    private FeatureWatch? _watch;
    private FeatureDefinitions? _definitions;
    private bool _isDisposed;

    /// <summary>Called after the definitions have changed.</summary>
    public event Action? Changed;

    /// <summary>Returns the definition of a feature; null when there is none. Allocates nothing after the first call has completed.</summary>
    public Task<FeatureDefinition> GetFeatureDefinitionAsync(string featureName)
    {
        ArgumentNullException.ThrowIfNull(featureName);
        return Volatile.Read(ref _definitions) is { } definitions ? Find(definitions, featureName) : LoadAndFindAsync(featureName);
    }

    public async IAsyncEnumerable<FeatureDefinition> GetAllFeatureDefinitionsAsync()
    {
        var definitions = Volatile.Read(ref _definitions) ?? await LoadAsync(CancellationToken.None).ConfigureAwait(false);
        adapter.CountRequest("list", "ok");
        foreach (var definition in definitions.All)
        {
            yield return definition;
        }
    }

    /// <summary>Completes when the definitions are read. When that failed, the next call tries again.</summary>
    public async Task<FeatureDefinitions> LoadAsync(CancellationToken cancellationToken)
    {
        FeatureWatch watch;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_watch is null || _watch.Loaded.IsFaulted)
            {
                _watch?.Dispose();
                _watch = new FeatureWatch(open(), adapter, logger, Publish);
                _watch.Start();
            }

            watch = _watch;
        }

        try
        {
            await watch.Loaded.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ObjectDisposedException("This was disposed while definitions of features were read.", e);
        }

        return Volatile.Read(ref _definitions)!;
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (!_isDisposed)
            {
                _isDisposed = true;
                _watch?.Dispose();
            }
        }
    }

    private async Task<FeatureDefinition> LoadAndFindAsync(string name) =>
        await Find(await LoadAsync(CancellationToken.None).ConfigureAwait(false), name).ConfigureAwait(false);

    private Task<FeatureDefinition> Find(FeatureDefinitions definitions, string name)
    {
        var definition = definitions.Find(name, out var isFound);
        adapter.CountRequest("get", isFound ? "hit" : "miss");
        return definition;
    }

    private void Publish(FeatureDefinitions definitions)
    {
        Volatile.Write(ref _definitions, definitions);
        Changed?.Invoke();
    }
}
