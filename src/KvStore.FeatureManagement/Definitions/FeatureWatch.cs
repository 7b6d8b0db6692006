using KvStore.Configuration;
using Microsoft.Extensions.Logging;

namespace KvStore.Definitions;

/// <summary>Reads the entries of a namespace that define features, and then every change of them.</summary>
/// <param name="kv">The namespace.</param>
/// <param name="adapter">The prefix, and the counter of requests.</param>
/// <param name="logger">The log.</param>
/// <param name="publish">Receives the definitions whenever they have changed; one call at a time.</param>
internal sealed class FeatureWatch(IKvExtendedNamespace kv, KvAdapter adapter, ILogger logger, Action<FeatureDefinitions> publish)
    : EntryWatch(kv, adapter.Prefix)
{
    private const int LoggedCollisionsMax = 20;

    private SortedDictionary<string, FeatureEntry> _entries = new(StringComparer.Ordinal);
    private SortedDictionary<string, FeatureEntry> _published = new(StringComparer.Ordinal);
    private FeatureDefinitions? _definitions;
    private HashSet<(string Loser, string Winner)> _collisions = [];

    protected override void Clear() => _entries = new(StringComparer.Ordinal);

    protected override bool Remove(string key) => _entries.Remove(key);

    protected override void LogFailure(Exception exception) => logger.WatchFailed(Namespace.Name, exception);

    protected override bool Publish()
    {
        _definitions = FeatureDefinitions.Of(_entries, _definitions, out var collisions);
        _published = _entries;
        foreach (var (loser, winner) in collisions.Except(_collisions).Take(LoggedCollisionsMax))
        {
            logger.DefinitionsCollide(loser, winner, Namespace.Name);
        }

        _collisions = collisions;
        adapter.CountRequest("load", "ok");
        publish(_definitions);
        return true;
    }

    protected override async ValueTask<bool> SetAsync(string key, KvValue value)
    {
        var before = _entries.GetValueOrDefault(key) ?? _published.GetValueOrDefault(key);
        var revision = value.Revision;
        if (before is null || before.Revision != revision)
        {
            before = await ReadAsync(key, value, revision, before).ConfigureAwait(false);
        }

        _entries[key] = before;
        return true;
    }

    // The entry before stays where the value cannot be read.
    private async ValueTask<FeatureEntry> ReadAsync(string key, KvValue value, long revision, FeatureEntry? before)
    {
        try
        {
            using (value)
            {
                var bytes = await value.ReadBytesAsync(Stopping).ConfigureAwait(false);
                if (FeatureDefinitionReader.Read(key[adapter.Prefix.Length..], bytes, value.Metadata, out var definition) is not { } problem)
                {
                    return new FeatureEntry(revision, definition);
                }

                logger.DefinitionBroken(key, Namespace.Name, problem);
                adapter.CountRequest("load", "error");
            }
        }
        catch (KvException e) when (e.StatusCode == 410)
        {
            // The value was replaced; the change that did it is shown next.
        }
        catch (Exception e) when (e is KvPersistenceException or IOException)
        {
            logger.DefinitionUnreadable(key, Namespace.Name, e);
            adapter.CountRequest("load", "error");
        }

        return new FeatureEntry(revision, before?.Definition);
    }
}
