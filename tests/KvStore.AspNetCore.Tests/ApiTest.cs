using Microsoft.AspNetCore.Builder;

namespace KvStore.AspNetCore.Tests;

/// <summary>A test with a server of its own, whose catalog lies in memory, and one namespace in it.</summary>
public abstract class ApiTest : IAsyncLifetime
{
    internal const string Secret = "a-secret-of-enough-length";

    private TestHost? _host;

    internal KvNamespaceCatalog Catalog { get; private set; } = null!;

    internal TestHost Host => _host!;

    internal ApiClient Api { get; private set; } = null!;

    internal KvCatalogEntry Entry { get; private set; } = null!;

    internal KvNamespace Kv => (KvNamespace)Entry.Namespace;

    /// <summary>The path of the namespace.</summary>
    internal string Path => "namespaces/" + Entry.Id;

    public async Task InitializeAsync()
    {
        Catalog = await KvNamespaceCatalog.OpenAsync(Options());
        Entry = await Catalog.CreateAsync("tested");
        _host = await TestHost.StartAsync(Catalog, app => app.MapKvApi(Configure));
        Api = new ApiClient(_host.Url, Secret);
    }

    public virtual async Task DisposeAsync()
    {
        Api.Dispose();
        await Host.DisposeAsync();
        await Catalog.DisposeAsync();
    }

    protected virtual KvCatalogOptions Options() => new();

    protected virtual void Configure(KvApiOptions api) => api.AddToken(KvToken.FromSecret(Secret));
}
