using System.Globalization;

namespace KvStore.TestKit;

/// <summary>
/// Builds the entries of a prefix from nothing but the changes of a watch, over any number of watches, namespaces and processes: each
/// goes on after the last revision that was shown. Checks each change on its way.
/// </summary>
/// <remarks>For one caller.</remarks>
internal sealed class Follower(string prefix) : IAsyncDisposable
{
    /// <summary>What the keys of markers end with.</summary>
    public const string Marker = "\uFFFDmarker";

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    // The keys that this watch has shown: a watch that goes on may repeat what was shown last before.
    private readonly HashSet<string> _shownHere = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (string Value, long Revision)> _entries = new(StringComparer.Ordinal);
    private IAsyncEnumerator<KvChange>? _changes;
    private CancellationTokenSource? _ending;
    private Task<bool>? _next;
    private long? _last;
    private bool _isScanning;

    public string Prefix => prefix;

    public bool IsWatching => _changes is not null;

    /// <summary>The key that <see cref="CatchUpAsync"/> writes.</summary>
    public string MarkerKey => prefix + Marker;

    /// <summary>How often the watch had to begin anew.</summary>
    public int Resets { get; private set; }

    /// <summary>How many changes were shown.</summary>
    public int Shown { get; private set; }

    /// <summary>The revision to go on after; null before the first.</summary>
    public long? Last => _last;

    /// <summary>The entries as the changes told them, without the markers of all followers.</summary>
    public IReadOnlyDictionary<string, string> Entries =>
        _entries.Where(entry => !entry.Key.EndsWith(Marker, StringComparison.Ordinal)).ToDictionary(entry => entry.Key, entry => entry.Value.Value);

    /// <summary>Begins a watch, which shows what is there at first, or goes on.</summary>
    public void Begin(IKvExtendedNamespace kv)
    {
        Require(_changes is null, "it watches");
        _isScanning = _last is null;
        _shownHere.Clear();
        _ending = new CancellationTokenSource();
        _changes = kv.WatchAsync(
            new KvWatchOptions { Prefix = prefix, Start = _last is null ? KvWatchStart.Current : KvWatchStart.Now, AfterRevision = _last },
            _ending.Token).GetAsyncEnumerator(CancellationToken.None);
    }

    /// <summary>Lets go of the watch wherever it is, as a connection that breaks.</summary>
    public async ValueTask EndAsync()
    {
        if (_changes is { } changes)
        {
            await _ending!.CancelAsync();
            if (_next is not null)
            {
                await Task.WhenAny(_next);
                _next = null;
            }

            await changes.DisposeAsync();
            _ending.Dispose();
            _changes = null;
        }
    }

    /// <summary>Reads what there is now, at most so many changes. One that comes later is not waited for.</summary>
    public async Task ReadAsync(int countMax)
    {
        for (var i = 0; i < countMax; i++)
        {
            _next ??= _changes!.MoveNextAsync().AsTask();
            if (!_next.IsCompleted || !await MovesNextAsync())
            {
                return;
            }

            Apply(_changes!.Current);
        }
    }

    /// <summary>Reads on until the watch ends.</summary>
    public async Task ReadToEndAsync()
    {
        while (await MovesNextAsync())
        {
            Apply(_changes!.Current);
        }
    }

    /// <summary>Writes an entry and reads on until it is shown: then everything that was written before has been.</summary>
    public async Task CatchUpAsync(IKvNamespace kv)
    {
        var marker = Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture);
        await kv.PutAsync(MarkerKey, marker);
        while (_isScanning || !_entries.TryGetValue(MarkerKey, out var shown) || shown.Value != marker)
        {
            Require(await MovesNextAsync(), "the watch has ended");
            Apply(_changes!.Current);
        }
    }

    public ValueTask DisposeAsync() => EndAsync();

    private async Task<bool> MovesNextAsync()
    {
        var next = _next ?? _changes!.MoveNextAsync().AsTask();
        _next = null;
        return await next.WaitAsync(s_patience);
    }

    private void Apply(KvChange change)
    {
        Shown++;
        Require(change.Revision == 0 || change.Revision >= (_last ?? 0), $"the revision went back from {_last} to {change.Revision}");
        Require((change.Revision == 0) == (change.Kind == KvChangeKind.Reset || (_isScanning && change.Kind == KvChangeKind.Put)), $"a {change.Kind} has the revision {change.Revision}");
        switch (change.Kind)
        {
            case KvChangeKind.Reset:
                _entries.Clear();
                _isScanning = true;
                Resets++;
                break;
            case KvChangeKind.Current:
                Require(_isScanning, "a mark comes after a scan");
                _isScanning = false;
                break;
            case KvChangeKind.Put:
                Require(change.Key.StartsWith(prefix, StringComparison.Ordinal), "a key has another prefix");
                Require(change.Value.Exists && change.Value.Revision >= change.Revision, "a put has its value");
                Require(
                    !_entries.TryGetValue(change.Key, out var before) || before.Revision < change.Value.Revision || (before.Revision == change.Value.Revision && !_shownHere.Contains(change.Key)),
                    $"{change.Key} went back from {before.Revision} to {change.Value.Revision}, or was shown twice");
                _shownHere.Add(change.Key);
                _entries[change.Key] = (TextOf(change.Value), change.Value.Revision);
                break;
            default:
                Require(change.Key.StartsWith(prefix, StringComparison.Ordinal), "a key has another prefix");
                Require(!change.Value.Exists, "what is gone has no value");
                _entries.Remove(change.Key);
                break;
        }

        // In the middle of a scan there is nothing to go on after.
        _last = change.Revision;
    }

    private static void Require(bool isTrue, string otherwise)
    {
        if (!isTrue)
        {
            throw new InvalidOperationException(otherwise);
        }
    }

    // The file of a large value that was replaced is gone after a while; then the change that replaced it follows.
    private static string TextOf(KvValue value)
    {
        try
        {
            return value.GetText()!;
        }
        catch (KvException e) when (e.StatusCode == 410)
        {
            return "";
        }
    }
}
