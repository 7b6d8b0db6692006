using KvStore.Contract;
using Microsoft.AspNetCore.Builder;

namespace KvStore.AspNetCore.Tests.Contract;

/// <summary>A namespace that lies on the disk, and is reached over the REST API.</summary>
public sealed class RestContractTests : KvNamespaceClockContract
{
    private const string Token = "a-token-of-enough-length";

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-contract-").FullName;

    private KvNamespaceCatalog? _catalog;
    private TestHost? _host;

    // There is no such parameter.
    protected override bool TakesCacheTtl => false;

    // limit is 10 to 1,000.
    protected override int KeysAPageMin => 10;

    // Two resources, and so two requests.
    protected override bool ReadsValueAndMetadataAtOnce => false;

    // It stands in the request line, which Kestrel bounds.
    protected override int KeyBytesSent => 6000;

    // The client makes the message from the verb of the request, as the runtime does.
    protected override string CursorOperation => "GET";

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _host!.DisposeAsync();
        await _catalog!.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    protected override async ValueTask<IKvNamespace> OpenAsync()
    {
        _catalog = await KvNamespaceCatalog.OpenAsync(new KvCatalogOptions { TimeProvider = Clock, Directory = _directory });
        var entry = await _catalog.CreateAsync("CONTRACT");
        _host = await TestHost.StartAsync(_catalog, app => app.MapKvApi(api => api.AddToken(KvToken.FromSecret(Token))));
        return new RestNamespace(entry, _host.Url, Token);
    }
}
