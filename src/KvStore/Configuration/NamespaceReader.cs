using Microsoft.Extensions.Logging;

namespace KvStore.Configuration;

/// <summary>Reads the entries of a namespace for a provider of configuration, and then every change of them.</summary>
/// <param name="provider">The provider.</param>
/// <param name="kv">The namespace.</param>
/// <param name="options">How entries become configuration.</param>
/// <param name="previous">The reader before; null for none. What it has read of the same namespace need not be read again.</param>
/// <param name="count">Counts a request: the operation and the outcome.</param>
/// <param name="logger">The log.</param>
/// <param name="isReload">Whether the first values are a change that is notified.</param>
internal sealed class NamespaceReader(
    KvConfigurationProvider provider,
    IKvExtendedNamespace kv,
    KvConfigurationOptions options,
    NamespaceReader? previous,
    Action<string, string> count,
    ILogger logger,
    bool isReload) : EntryWatch(kv, options.Prefix)
{
    private ConfigurationEntries _entries = new();
    private ConfigurationEntries? _published = previous is not null && ReferenceEquals(previous.Namespace, kv) ? previous._published : null;
    private bool _hasPublished;

    protected override Task ReadAsync() => options.ReloadOnChange ? base.ReadAsync() : ScanAsync();

    protected override void Clear() => _entries = new ConfigurationEntries();

    protected override bool Remove(string key)
    {
        provider.ForgetBroken(key);
        return _entries.Remove(key);
    }

    protected override void LogFailure(Exception exception) => logger.ConfigurationWatchFailed(Namespace.Name, exception);

    protected override bool Publish()
    {
        if (!provider.Publish(this, _entries, isReload: isReload || _hasPublished))
        {
            return false;
        }

        _hasPublished = true;
        _published = _entries;
        return true;
    }

    protected override async ValueTask<bool> SetAsync(string key, KvValue value)
    {
        var before = _entries.Find(key) ?? _published?.Find(key);
        var revision = value.Revision;
        if (before is not null && before.Revision == revision)
        {
            return _entries.Set(key, before);
        }

        var values = await ReadAsync(key, value, revision).ConfigureAwait(false) ?? before?.Values ?? [];
        return _entries.Set(key, new ConfigurationEntry(revision, values));
    }

    private async Task ScanAsync()
    {
        await foreach (var (key, value) in Namespace.ScanAsync(options.Prefix, Stopping).ConfigureAwait(false))
        {
            await SetAsync(key, value).ConfigureAwait(false);
        }

        PublishLoaded();
    }

    // Null when the value cannot be read.
    private async ValueTask<KeyValuePair<string, string?>[]?> ReadAsync(string key, KvValue value, long revision)
    {
        try
        {
            using (value)
            {
                var bytes = await value.ReadBytesAsync(Stopping).ConfigureAwait(false);
                if (ConfigurationEntry.Read(ConfigurationEntry.PathOf(key, options), bytes, options.FlattenJson, out var values) is not { } problem)
                {
                    provider.ForgetBroken(key);
                    return values;
                }

                if (provider.TryNoteBroken(key, revision))
                {
                    logger.ConfigurationValueBroken(key, Namespace.Name, problem);
                }
            }
        }
        catch (KvException e) when (e.StatusCode == 410)
        {
            // The value was replaced; the change that did it is shown next.
            return null;
        }
        catch (Exception e) when (e is KvPersistenceException or IOException)
        {
            logger.ConfigurationValueUnreadable(key, Namespace.Name, e);
        }

        count("load", "error");
        return null;
    }
}
