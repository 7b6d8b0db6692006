using KvStore.Rules;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace KvStore.Tickets;

/// <summary>Connects the ticket store to cookie authentication, where the application has set no other store.</summary>
internal sealed class SessionStoreSetup(IServiceProvider services, KvTicketStoreOptions ticketOptions) : IPostConfigureOptions<CookieAuthenticationOptions>
{
    public void PostConfigure(string? name, CookieAuthenticationOptions options)
    {
        if (ticketOptions.Scheme is null || ticketOptions.Scheme == name)
        {
            options.SessionStore ??= services.GetRequiredService<KvTicketStore>();
        }
    }
}

/// <summary>Stops the host at start when the scheme that the ticket store is for does not exist.</summary>
internal sealed class SchemeCheck(KvTicketStoreOptions options, KvAdapter adapter, IAuthenticationSchemeProvider? schemes = null) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Scheme is { } scheme && (schemes is null || await schemes.GetSchemeAsync(scheme).ConfigureAwait(false) is null))
        {
            var known = schemes is null ? [] : await schemes.GetAllSchemesAsync().ConfigureAwait(false);
            throw new OptionsValidationException(
                adapter.Namespace,
                typeof(KvTicketStoreOptions),
                [$"{adapter.RegisteredBy} on the KV namespace {VisibleKey.Quote(adapter.Namespace)}: no authentication scheme named {VisibleKey.Quote(scheme)} is registered. Registered are: {string.Join(", ", known.Select(static other => VisibleKey.Quote(other.Name)).DefaultIfEmpty("none"))}. Register it: services.AddAuthentication().AddCookie({VisibleKey.Quote(scheme)})."]);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
