namespace KvStore.Tests.Contract;

/// <summary>
/// What holds for every <see cref="IKvExtendedNamespace"/>, wherever it keeps its entries: in memory alone, on a disk, with regions.
/// </summary>
public abstract partial class KvExtendedNamespaceContract : IAsyncLifetime
{
    private KvNamespace? _kv;

    /// <summary>The namespace, empty when a test begins.</summary>
    protected IKvExtendedNamespace Kv => _kv ?? throw new InvalidOperationException("The test has not begun.");

    /// <summary>The clock that the namespace goes by, which only the test moves.</summary>
    protected FakeTimeProvider Clock { get; } = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));

    public async Task InitializeAsync() => _kv = await OpenAsync();

    public virtual async Task DisposeAsync() => await _kv!.DisposeAsync();

    /// <summary>Opens an empty namespace with the documented limits and the clock of the test. Called once for each test.</summary>
    protected abstract ValueTask<KvNamespace> OpenAsync();

    protected static KvPutOptions Ttl(int seconds) => new() { ExpirationTtl = TimeSpan.FromSeconds(seconds) };

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
}
