using KvStore.Contract;
using Microsoft.AspNetCore.Builder;

namespace KvStore.AspNetCore.Tests.Contract;

/// <summary>A namespace that lies in memory, and is reached as the Workers runtime reaches it.</summary>
public sealed class BindingContractTests : KvNamespaceClockContract
{
    private KvNamespaceCatalog? _catalog;
    private TestHost? _host;

    // The binding's get has no such result; only its list has.
    protected override bool TellsExpirationOfAValue => false;

    // It stands in the request line, which Kestrel bounds.
    protected override int KeyBytesSent => 6000;

    // The client makes the message from the verb of the request, as the runtime does.
    protected override string CursorOperation => "GET";

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        await _host!.DisposeAsync();
        await _catalog!.DisposeAsync();
    }

    protected override async ValueTask<IKvNamespace> OpenAsync()
    {
        _catalog = await KvNamespaceCatalog.OpenAsync(new KvCatalogOptions { TimeProvider = Clock });
        var entry = await _catalog.CreateAsync("CONTRACT");
        _host = await TestHost.StartAsync(_catalog, app => app.MapKvBinding());
        return new BindingNamespace(entry, _host.Url);
    }
}
