using System.IO.Pipelines;
using System.Text;
using Microsoft.Extensions.Time.Testing;

namespace KvStore.TestKit.Persistence;

/// <summary>A namespace with a persistence provider, its entries shown as text.</summary>
internal sealed class NamespaceHost(KvNamespace kv, IKvPersistence persistence) : IDurableStore
{
    private int _largePuts;

    public KvNamespace Namespace => kv;

    public IKvPersistence Persistence => persistence;

    public SortedDictionary<string, string> State
    {
        get
        {
            var state = new SortedDictionary<string, string>(StringComparer.Ordinal);
            string? cursor = null;
            do
            {
                // In memory, so it is there at once.
                var page = kv.ListAsync(new KvListOptions { Cursor = cursor }).AsTask().Result;
                foreach (var key in page.Keys)
                {
                    if (kv.TryGet(key.Name, out var value))
                    {
                        state[key.Name] = Encoding.Latin1.GetString(value.GetBytes().Span);
                    }
                }

                cursor = page.Cursor;
            }
            while (cursor is not null);

            return state;
        }
    }

    public SortedDictionary<string, uint> Deadlines
    {
        get
        {
            var deadlines = new SortedDictionary<string, uint>(StringComparer.Ordinal);
            foreach (var key in State.Keys)
            {
                if (kv.TryGet(key, out var value) && value.Expiration is { } expiration)
                {
                    deadlines[key] = (uint)expiration.ToUnixTimeSeconds();
                }
            }

            return deadlines;
        }
    }

    public static async Task<NamespaceHost> OpenAsync(IKvPersistence persistence, TimeProvider? timeProvider = null)
    {
        var kv = await KvNamespace.OpenAsync("CRASH_KV", new KvNamespaceOptions
        {
            Persistence = persistence,
            TimeProvider = timeProvider ?? new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000)),
            Limits = new KvLimits { ExpirationTtlMin = TimeSpan.FromSeconds(1) },
        });
        return new NamespaceHost(kv, persistence);
    }

    public Task PutAsync(string key, string value, uint deadlineSeconds = 0, string metadata = "") =>
        kv.PutAsync(key, Encoding.Latin1.GetBytes(value), Options(deadlineSeconds, metadata)).AsTask();

    public Task PutLargeAsync(string key, string value, uint deadlineSeconds = 0)
    {
        // In each of the ways in which a value can come.
        var bytes = Encoding.Latin1.GetBytes(value);
        KvContent content = (Interlocked.Increment(ref _largePuts) % 4) switch
        {
            0 => bytes,
            1 => new MemoryStream(bytes),
            2 => PipeReader.Create(new MemoryStream(bytes)),
            _ => Ascii.IsValid(value) ? value : bytes,
        };
        return kv.PutAsync(key, content, Options(deadlineSeconds, "")).AsTask();
    }

    public Task DeleteAsync(string key) => kv.DeleteAsync(key).AsTask();

    public async Task TouchAsync(string key, uint deadlineSeconds)
    {
        TimeSpan? ttl = deadlineSeconds == 0 ? null : DateTimeOffset.FromUnixTimeSeconds(deadlineSeconds) - kv.TimeProvider.GetUtcNow();
        if (!await kv.TouchAsync(key, ttl))
        {
            throw new InvalidOperationException($"There is no entry {key}.");
        }
    }

    public ValueTask DisposeAsync() => kv.DisposeAsync();

    private static KvPutOptions Options(uint deadlineSeconds, string metadata) => new()
    {
        Expiration = deadlineSeconds == 0 ? null : DateTimeOffset.FromUnixTimeSeconds(deadlineSeconds),
        Metadata = metadata.Length == 0 ? default : KvMetadata.FromJson(metadata),
    };
}
