using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;

namespace KvStore.TestKit.Persistence;

/// <summary>
/// The simplest state that a persistence provider can stand behind: a dictionary under a lock. It stands in for the engine,
/// keeps its contract to the letter, and shows what it holds as text.
/// </summary>
internal sealed class DictionaryHost(TimeProvider? timeProvider = null) : IKvPersistenceHost, IDurableStore
{
    private readonly Lock _gate = new();
    private readonly Lock _order = new();
    private readonly Dictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private readonly SortedSet<long> _unpublished = [];
    private TaskCompletionSource _published = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private IKvPersistence? _persistence;
    private long _revision;

    public TimeProvider TimeProvider { get; } = timeProvider ?? new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));

    public ILoggerFactory? LoggerFactory { get; init; }

    public KvRecovery Recovery { get; private set; } = new();

    /// <summary>Called when live entries are about to be shown.</summary>
    public Func<Task>? BeforeShown { get; set; }

    public long PreparedMutations { get; private set; }

    public IKvPersistence Persistence => _persistence ?? throw new InvalidOperationException("Not open.");

    public long LiveEntries
    {
        get
        {
            lock (_gate)
            {
                return _entries.Values.Count(entry => !entry.IsDelete);
            }
        }
    }

    public long LiveBytes
    {
        get
        {
            lock (_gate)
            {
                return _entries.Sum(pair => pair.Value.IsDelete ? 0 : pair.Key.Length + pair.Value.Value.Length + pair.Value.Metadata.Length);
            }
        }
    }

    /// <summary>All live entries as text, large values read from where they are.</summary>
    public SortedDictionary<string, string> State
    {
        get
        {
            lock (_gate)
            {
                var state = new SortedDictionary<string, string>(StringComparer.Ordinal);
                foreach (var (key, entry) in _entries.Where(pair => !pair.Value.IsDelete))
                {
                    state[key] = Text(entry);
                }

                return state;
            }
        }
    }

    public static async Task<DictionaryHost> OpenAsync(IKvPersistence persistence, TimeProvider? timeProvider = null)
    {
        var host = new DictionaryHost(timeProvider) { _persistence = persistence };
        host.Recovery = await persistence.OpenAsync(host);
        host._revision = host.Recovery.HighestRevision;
        return host;
    }

    public Task PutAsync(string key, string value, uint deadlineSeconds = 0, string metadata = "") =>
        CommitAsync(key, new Entry(0, false, Latin1(value), Latin1(metadata), deadlineSeconds, default));

    public Task DeleteAsync(string key) => CommitAsync(key, new Entry(0, true, [], [], 0, default));

    public SortedDictionary<string, uint> Deadlines
    {
        get
        {
            lock (_gate)
            {
                return new(
                    _entries.Where(pair => !pair.Value.IsDelete && pair.Value.DeadlineSeconds != 0).ToDictionary(pair => pair.Key, pair => pair.Value.DeadlineSeconds),
                    StringComparer.Ordinal);
            }
        }
    }

    /// <summary>Requires: no other mutation of the key is on its way.</summary>
    public Task TouchAsync(string key, uint deadlineSeconds)
    {
        Entry present;
        lock (_gate)
        {
            present = _entries[key];
        }

        return CommitAsync(key, present with { DeadlineSeconds = deadlineSeconds, DeadlineRounding = 0, TouchedRevision = present.Revision });
    }

    public async Task PutLargeAsync(string key, string value, uint deadlineSeconds = 0)
    {
        await using var writer = Persistence.LargeValues!.Create();
        var bytes = Latin1(value);
        foreach (var part in bytes.Chunk(10_000))
        {
            await writer.WriteAsync(part);
        }

        var reference = await writer.CompleteAsync();
        await CommitAsync(key, new Entry(0, false, [], [], deadlineSeconds, reference));
    }

    public ValueTask DisposeAsync() => Persistence.DisposeAsync();

    public KvValueReference ReferenceOf(string key)
    {
        lock (_gate)
        {
            return _entries[key].LargeValue;
        }
    }

    public uint DeadlineOf(string key)
    {
        lock (_gate)
        {
            return _entries[key].DeadlineSeconds;
        }
    }

    public string MetadataOf(string key)
    {
        lock (_gate)
        {
            return Encoding.Latin1.GetString(_entries[key].Metadata);
        }
    }

    public void Prepare(long mutations, long bytes) => PreparedMutations = mutations;

    public void Recover(in KvMutation mutation)
    {
        var key = Encoding.Latin1.GetString(mutation.Key.Span);
        var entry = new Entry(
            mutation.Revision,
            mutation.IsDelete,
            mutation.Value.ToArray(),
            mutation.Metadata.ToArray(),
            mutation.DeadlineSeconds,
            mutation.LargeValue)
        { DeadlineRounding = mutation.DeadlineRounding };
        lock (_gate)
        {
            if (!_entries.TryGetValue(key, out var present) || present.Revision < entry.Revision)
            {
                _entries[key] = entry;
            }
        }
    }

    public void RecoverTouch(in KvMutation mutation)
    {
        lock (_gate)
        {
            var key = Encoding.Latin1.GetString(mutation.Key.Span);
            if (_entries.TryGetValue(key, out var present) && !present.IsDelete && present.Revision <= mutation.TouchedRevision)
            {
                _entries[key] = present with { Revision = mutation.Revision, DeadlineSeconds = mutation.DeadlineSeconds, DeadlineRounding = mutation.DeadlineRounding };
            }
        }
    }

    public bool IsCurrent(ReadOnlySpan<byte> key, long revision)
    {
        lock (_gate)
        {
            return _entries.TryGetValue(Encoding.Latin1.GetString(key), out var entry) && !entry.IsDelete && entry.Revision == revision;
        }
    }

    public async ValueTask WriteLiveAsync(long throughRevision, KvMutationHandler write, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task published;
            lock (_gate)
            {
                if (_unpublished.Count == 0 || _unpublished.Min > throughRevision)
                {
                    break;
                }

                published = _published.Task;
            }

            await published.WaitAsync(cancellationToken);
        }

        if (BeforeShown is { } beforeShown)
        {
            await beforeShown();
        }

        KeyValuePair<string, Entry>[] live;
        lock (_gate)
        {
            live = [.. _entries.Where(pair => !pair.Value.IsDelete)];
        }

        foreach (var (key, entry) in live)
        {
            cancellationToken.ThrowIfCancellationRequested();
            write(ToMutation(key, entry));
        }
    }

    private static byte[] Latin1(string text) => Encoding.Latin1.GetBytes(text);

    private static KvMutation ToMutation(string key, Entry entry) => new()
    {
        Key = Latin1(key),
        Value = entry.Value,
        Metadata = entry.Metadata,
        DeadlineSeconds = entry.DeadlineSeconds,
        DeadlineRounding = entry.DeadlineRounding,
        LargeValue = entry.LargeValue,
        Revision = entry.Revision,
        TouchedRevision = entry.TouchedRevision,
        IsDelete = entry.IsDelete,
    };

    private async Task CommitAsync(string key, Entry entry)
    {
        ValueTask appended;
        lock (_order)
        {
            entry = entry with { Revision = ++_revision };
            lock (_gate)
            {
                _unpublished.Add(entry.Revision);
            }

            appended = Persistence.AppendAsync(ToMutation(key, entry));
        }

        KvValueReference replaced = default;
        var isAppended = false;
        try
        {
            await appended;
            isAppended = true;
        }
        finally
        {
            TaskCompletionSource published;
            lock (_gate)
            {
                if (isAppended && !(_entries.TryGetValue(key, out var present) && present.Revision > entry.Revision))
                {
                    replaced = present is null || present.LargeValue == entry.LargeValue ? default : present.LargeValue;
                    _entries[key] = entry with { TouchedRevision = 0 };
                }
                else if (isAppended)
                {
                    replaced = entry.LargeValue;
                }

                _unpublished.Remove(entry.Revision);
                published = _published;
                _published = new(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            published.SetResult();
        }

        if (!replaced.IsNone)
        {
            Persistence.LargeValues!.Release(replaced);
        }
    }

    private string Text(Entry entry)
    {
        if (entry.LargeValue.IsNone)
        {
            return Encoding.Latin1.GetString(entry.Value);
        }

        if (!Persistence.LargeValues!.TryOpen(entry.LargeValue, out var value))
        {
            return "(removed)";
        }

        using (value)
        using (var reader = new StreamReader(value.OpenStream(), Encoding.Latin1))
        {
            return reader.ReadToEnd();
        }
    }

    private sealed record Entry(
        long Revision, bool IsDelete, byte[] Value, byte[] Metadata, uint DeadlineSeconds, KvValueReference LargeValue)
    {
        public byte DeadlineRounding { get; init; }

        public long TouchedRevision { get; init; }
    }
}
