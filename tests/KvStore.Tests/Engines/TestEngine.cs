using System.Text;

namespace KvStore.Tests.Engines;

/// <summary>An engine in this process: it commits every write at once, and a test passes it the mutations of other processes.</summary>
internal sealed class TestEngine : IKvEngine
{
    private long _revision = 1000;

    /// <summary>The replica.</summary>
    public IKvEngineHost Host { get; private set; } = null!;

    public KvPersistenceHealth Health => KvPersistenceHealth.Healthy;

    public IKvLargeValues? LargeValues => null;

    /// <summary>Opens a namespace on a new engine.</summary>
    public static async Task<(KvNamespace Kv, TestEngine Engine)> OpenAsync(TimeProvider? time = null)
    {
        var engine = new TestEngine();
        var options = new KvNamespaceOptions { Engine = engine };
        return (await KvNamespace.OpenAsync("KV", time is null ? options : options with { TimeProvider = time }), engine);
    }

    /// <summary>The next revision.</summary>
    public long Next() => Interlocked.Increment(ref _revision);

    /// <summary>A put of another process.</summary>
    public KvMutation Put(string key, string value, string? metadata = null) => new()
    {
        Key = Encoding.UTF8.GetBytes(key),
        Value = Encoding.UTF8.GetBytes(value),
        Metadata = metadata is null ? default : Encoding.UTF8.GetBytes(metadata),
        Revision = Next(),
    };

    /// <summary>A delete of another process.</summary>
    public KvMutation Delete(string key) => new() { Key = Encoding.UTF8.GetBytes(key), IsDelete = true, Revision = Next() };

    public ValueTask<KvRecovery> OpenAsync(IKvEngineHost host, CancellationToken cancellationToken = default)
    {
        Host = host;
        return new(new KvRecovery { HighestRevision = _revision });
    }

    public ValueTask<KvEngineOutcome> CommitAsync(in KvEngineWrite write, CancellationToken cancellationToken = default) =>
        new(new KvEngineOutcome { Holds = true, IsMade = write.Operation != KvEngineOperation.Check, Revision = Next() });

    public ValueTask<long> RefreshAsync(CancellationToken cancellationToken = default) => new(Volatile.Read(ref _revision));

    public ValueTask DisposeAsync() => default;
}
