using System.Text;
using Microsoft.Extensions.Logging;

namespace KvStore.PostgreSql.Tests.Feed;

/// <summary>A replica in a dictionary: the highest revision of a key wins. It checks that no key goes back.</summary>
internal sealed class ModelHost : IKvEngineHost
{
    private readonly SortedDictionary<string, (long Revision, string? Value)> _keys = new(StringComparer.Ordinal);
    private long _forgetThrough;

    public string Name => "MODEL";

    public TimeProvider TimeProvider => TimeProvider.System;

    public ILoggerFactory? LoggerFactory => null;

    public KvLimits Limits { get; } = new();

    public long LiveEntries => Entries.Count();

    public IEnumerable<(string Key, long Revision, string Value)> Entries =>
        _keys.Where(key => key.Value.Value is not null).Select(key => (key.Key, key.Value.Revision, key.Value.Value!));

    /// <summary>How many writes of this process are committed and not published.</summary>
    public int Unpublished { get; set; }

    public static byte[] BytesOf(string text) => Encoding.UTF8.GetBytes(text);

    public static string TextOf(ReadOnlyMemory<byte> bytes) => Encoding.UTF8.GetString(bytes.Span);

    public void Prepare(long entries)
    {
    }

    public void Apply(in KvMutation mutation)
    {
        var key = TextOf(mutation.Key);
        if (!_keys.TryGetValue(key, out var known) || known.Revision < mutation.Revision)
        {
            _keys[key] = (mutation.Revision, mutation.IsDelete ? null : TextOf(mutation.Value));
        }
    }

    public void Publish()
    {
    }

    public long RevisionOf(ReadOnlySpan<byte> key) => _keys.GetValueOrDefault(Encoding.UTF8.GetString(key)).Revision;

    public int List(ReadOnlySpan<byte> after, Span<KvEngineEntry> entries)
    {
        var last = Encoding.UTF8.GetString(after);
        var count = 0;
        foreach (var (key, revision, _) in Entries.Where(entry => string.CompareOrdinal(entry.Key, last) > 0).Take(entries.Length))
        {
            entries[count++] = new KvEngineEntry(BytesOf(key), revision);
        }

        return count;
    }

    public void Remove(ReadOnlySpan<byte> key, long throughRevision)
    {
        var text = Encoding.UTF8.GetString(key);
        if (_keys.TryGetValue(text, out var known) && known.Value is not null && known.Revision <= throughRevision)
        {
            _keys.Remove(text);
        }
    }

    public IKvEngineSwap BeginSwap() => new ModelSwap(this);

    // As early as the contract allows.
    public void ForgetDeletes(long throughRevision)
    {
        if (Unpublished > 0)
        {
            return;
        }

        foreach (var key in _keys.Where(key => key.Value.Value is null && key.Value.Revision <= _forgetThrough).Select(key => key.Key).ToList())
        {
            _keys.Remove(key);
        }

        _forgetThrough = throughRevision;
    }

    public void RefuseReads(string? reason)
    {
    }

    private sealed class ModelSwap(ModelHost host) : IKvEngineSwap
    {
        private readonly List<Action> _changes = [];

        public void Apply(in KvMutation mutation)
        {
            var copy = new KvMutation { Key = mutation.Key.ToArray(), Revision = mutation.Revision, IsDelete = mutation.IsDelete, Value = mutation.Value.ToArray() };
            _changes.Add(() => host.Apply(copy));
        }

        public void Remove(ReadOnlySpan<byte> key, long throughRevision)
        {
            var copy = key.ToArray();
            _changes.Add(() => host.Remove(copy, throughRevision));
        }

        public void Complete()
        {
            _changes.ForEach(static change => change());
            _changes.Clear();
        }

        public void Dispose() => _changes.Clear();
    }
}
