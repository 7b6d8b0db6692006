namespace KvStore.Dashboard.Tests;

/// <summary>A test with a dashboard of its own, over a catalog in memory with one namespace, and a clock that stands still.</summary>
public abstract class DashboardTest : IAsyncLifetime
{
    private DashboardHost? _host;

    internal FakeTimeProvider Time { get; } = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));

    internal KvNamespaceCatalog Catalog { get; private set; } = null!;

    internal DashboardHost Host => _host!;

    internal DashboardClient Browser { get; private set; } = null!;

    internal KvCatalogEntry Entry { get; private set; } = null!;

    internal KvNamespace Kv => (KvNamespace)Entry.Namespace;

    /// <summary>The path of the namespace.</summary>
    internal string Ns => "/ns/" + Entry.Id;

    public virtual async Task InitializeAsync()
    {
        Catalog = await KvNamespaceCatalog.OpenAsync(Options(), Registered());
        Entry = await Catalog.CreateAsync("tested");
        _host = await DashboardHost.StartAsync(Catalog, Time, options =>
        {
            options.RequirePolicy(DashboardHost.Policy);
            Configure(options);
        });
        Browser = new DashboardClient(_host.Url);
    }

    public virtual async Task DisposeAsync()
    {
        Browser.Dispose();
        await Host.DisposeAsync();
        await Catalog.DisposeAsync();
    }

    protected virtual KvCatalogOptions Options() => new() { TimeProvider = Time };

    protected virtual void Configure(KvDashboardOptions options)
    {
    }

    internal static string Escape(string key) => Uri.EscapeDataString(key);

    internal string EntryPath(string key) => $"{Ns}/entry?key={Escape(key)}";

    internal string EditPath(string key) => $"{Ns}/edit?key={Escape(key)}";

    protected virtual IEnumerable<IKvNamespace> Registered() => [];
}
