namespace KvStore.Tests.Contract;

/// <summary>
/// What holds for every <see cref="IKvExtendedNamespace"/>, wherever it keeps its entries: in memory, on a disk, with regions. A subclass
/// opens an empty namespace. Each part of the interface has a file of its own.
/// </summary>
public abstract partial class KvExtendedNamespaceContract : IAsyncLifetime
{
    private KvNamespace? _kv;

    /// <summary>The namespace, empty when a test begins.</summary>
    protected KvNamespace Kv => _kv ?? throw new InvalidOperationException("The test has not begun.");

    /// <summary>The clock of the namespace, which only the test moves.</summary>
    protected FakeTimeProvider Clock { get; } = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));

    /// <summary>Whether the entries are there after <see cref="ReopenAsync"/>.</summary>
    protected virtual bool Persists => false;

    public async Task InitializeAsync() => _kv = await OpenAsync();

    /// <summary>Disposes the namespace. A subclass that overrides this calls it first.</summary>
    public virtual async Task DisposeAsync()
    {
        if (_kv is not null)
        {
            await _kv.DisposeAsync();
        }
    }

    /// <summary>Opens the namespace: an empty one the first time, later with what was stored, where it persists.</summary>
    protected abstract ValueTask<KvNamespace> OpenAsync();

    /// <summary>Closes the namespace and opens it again, where it persists. Does nothing otherwise.</summary>
    protected async Task ReopenAsync()
    {
        if (Persists)
        {
            await Kv.DisposeAsync();
            _kv = await OpenAsync();
        }
    }

    protected async Task<long> RevisionOf(string key) => (await Kv.GetAsync(key)).Revision;

    protected async Task<List<string>> Names(string? prefix = null)
    {
        var names = new List<string>();
        await foreach (var key in Kv.ListAllAsync(prefix))
        {
            names.Add(key.Name);
        }

        return names;
    }

    protected async Task<SortedDictionary<string, string>> State()
    {
        var state = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var name in await Names())
        {
            state[name] = (await Kv.GetTextAsync(name))!;
        }

        return state;
    }

    protected static KvPutOptions Ttl(int seconds) => new() { ExpirationTtl = TimeSpan.FromSeconds(seconds) };
}
