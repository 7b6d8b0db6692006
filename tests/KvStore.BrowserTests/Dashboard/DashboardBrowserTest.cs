using KvStore.BrowserTests.Chromium;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvStore.BrowserTests.Dashboard;

/// <summary>A test at the dashboard, of a catalog in memory with one namespace and one that has regions.</summary>
public abstract class DashboardBrowserTest(ChromiumFixture chromium) : BrowserTest(chromium)
{
    private WebApplication? _app;
    private KvNamespace? _profiles;
    private KvNamespaceCatalog? _catalog;
    private KvCatalogEntry? _entry;

    /// <summary>The namespace that has regions.</summary>
    private protected KvNamespace Profiles => _profiles!;

    private protected KvNamespaceCatalog Catalog => _catalog!;

    private protected KvNamespace Kv => (KvNamespace)_entry!.Namespace;

    /// <summary>The path of the namespace.</summary>
    private protected string Ns => $"/dashboard/ns/{_entry!.Id}";

    /// <summary>The clock of the dashboard.</summary>
    private protected virtual TimeProvider Clock => TimeProvider.System;

    private protected string EntryPath(string key) => $"{Ns}/entry?key={Uri.EscapeDataString(key)}";

    protected override async Task<Uri> StartAsync()
    {
        _profiles = KvNamespace.Create("profiles", new KvNamespaceOptions
        {
            Replication = new KvReplicationOptions { Regions = ["jnb", "lhr", "sfo"], HomeRegion = "jnb", Lag = KvLag.Fixed(TimeSpan.FromDays(1)) },
        });
        _catalog = await KvNamespaceCatalog.OpenAsync(registered: [_profiles]);
        _entry = await _catalog.CreateAsync("settings");
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton(_catalog).AddSingleton(Clock);
        builder.Services.AddDataProtection().UseEphemeralDataProtectionProvider();
        builder.Services.AddAntiforgery();
        builder.Services.AddAuthorization();
        _app = builder.Build();
        _app.MapKvDashboard(dashboard => dashboard.RequirePolicy(new AuthorizationPolicyBuilder().RequireAssertion(_ => true).Build()));
        await _app.StartAsync();
        return new Uri(_app.Urls.First());
    }

    protected override async Task StopAsync()
    {
        await _app!.DisposeAsync();
        await _catalog!.DisposeAsync();
        await _profiles!.DisposeAsync();
    }

    /// <summary>A link, a button or a field by what it is called.</summary>
    private protected ILocator Link(string name, bool exact = true) => Page.GetByRole(AriaRole.Link, new PageGetByRoleOptions { Name = name, Exact = exact });

    private protected ILocator Button(string name) => Page.GetByRole(AriaRole.Button, new PageGetByRoleOptions { Name = name, Exact = true });

    private protected ILocator Field(string label) => Page.GetByLabel(label, new PageGetByLabelOptions { Exact = true });

    private protected ILocator Heading => Page.GetByRole(AriaRole.Heading, new PageGetByRoleOptions { Level = 1 });
}
