using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace KvStore.Comparisons.Peers.Maps;

/// <summary>
/// A typical hand-written cache: a concurrent dictionary of entries with a deadline, checked in every read.
/// </summary>
internal readonly struct TtlDictionaryMap() : IMap
{
    private static readonly long s_ttlMs = (long)TimeSpan.FromHours(1).TotalMilliseconds;

    private readonly ConcurrentDictionary<string, Entry> _entries = new();

    public static string Name => "ConcurrentDictionary + TTL";

    public static bool ExpiresByItself => false;

    public bool TryGet(string key, [NotNullWhen(true)] out byte[]? value)
    {
        if (_entries.TryGetValue(key, out var entry) && entry.DeadlineMs > Environment.TickCount64)
        {
            value = entry.Value;
            return true;
        }

        value = null;
        return false;
    }

    public void Put(string key, byte[] value) => _entries[key] = new Entry(value, Environment.TickCount64 + s_ttlMs);

    public void Put(string key, byte[] value, int ttlSeconds) =>
        _entries[key] = new Entry(value, Environment.TickCount64 + (ttlSeconds == 0 ? s_ttlMs : ttlSeconds * 1000L));

    public void Remove(string key) => _entries.TryRemove(key, out _);

    private sealed record Entry(byte[] Value, long DeadlineMs);
}
