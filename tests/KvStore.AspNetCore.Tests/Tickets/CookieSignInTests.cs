using System.Net;
using System.Security.Claims;
using KvStore.AspNetCore.Tests.Adapters;
using KvStore.TestKit.Persistence;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace KvStore.AspNetCore.Tests.Tickets;

/// <summary>Cookie authentication of the framework on the ticket store.</summary>
public sealed class CookieSignInTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));

    [Fact]
    public async Task Visitor_is_still_signed_in_after_a_restart()
    {
        using var storage = Storage.InDirectory();
        var visitor = new Visitor();
        await using (var host = await StartAsync(storage))
        {
            (await visitor.GetAsync(host, "/me")).Should().Be("nobody");
            await visitor.GetAsync(host, "/in?user=ada");
            (await visitor.GetAsync(host, "/me")).Should().Be("ada");
        }

        await using var restarted = await StartAsync(storage);

        (await visitor.GetAsync(restarted, "/me")).Should().Be("ada");
        (await new Visitor().GetAsync(restarted, "/me")).Should().Be("nobody");
    }

    [Fact]
    public async Task Cookie_is_short_and_carries_no_claims()
    {
        await using var host = await StartAsync(Storage.InMemory());
        var visitor = new Visitor();
        await visitor.GetAsync(host, "/in?user=" + new string('a', 6000));

        visitor.Cookie.Length.Should().BeLessThan(600);
        (await visitor.GetAsync(host, "/me")).Should().HaveLength(6000);
    }

    [Fact]
    public async Task Sign_out_removes_the_ticket_so_that_a_copied_cookie_is_worthless()
    {
        await using var host = await StartAsync(Storage.InMemory());
        var visitor = new Visitor();
        await visitor.GetAsync(host, "/in?user=ada");
        var thief = visitor.Copy();

        await visitor.GetAsync(host, "/out");

        (await visitor.GetAsync(host, "/me")).Should().Be("nobody");
        (await thief.GetAsync(host, "/me")).Should().Be("nobody");
        KeysIn(host).Should().BeEmpty();
    }

    [Fact]
    public async Task Signing_out_everywhere_signs_out_all_browsers_of_the_user()
    {
        using var storage = Storage.InDirectory();
        Visitor[] ofAda = [new(), new(), new()];
        var grace = new Visitor();
        await using (var host = await StartAsync(storage))
        {
            foreach (var visitor in ofAda)
            {
                await visitor.GetAsync(host, "/in?user=ada");
            }

            await grace.GetAsync(host, "/in?user=grace");

            (await ofAda[0].GetAsync(host, "/out-everywhere")).Should().Be("3");
            await CheckAsync(host);
        }

        await using var restarted = await StartAsync(storage);
        await CheckAsync(restarted);

        async Task CheckAsync(AdapterHost host)
        {
            foreach (var visitor in ofAda)
            {
                (await visitor.GetAsync(host, "/me")).Should().Be("nobody");
            }

            (await grace.GetAsync(host, "/me")).Should().Be("grace");
        }
    }

    [Fact]
    public async Task Signing_out_everywhere_is_not_undone_by_the_renewal_of_the_same_request()
    {
        await using var host = await StartAsync(Storage.InMemory());
        var visitor = new Visitor();
        await visitor.GetAsync(host, "/in?user=ada");
        _time.Advance(TimeSpan.FromMinutes(40));

        (await visitor.GetAsync(host, "/out-everywhere")).Should().Be("1");

        (await visitor.GetAsync(host, "/me")).Should().Be("nobody", "a request in the second half of the life of a ticket renews it when the response begins");
    }

    [Fact]
    public async Task User_who_signs_in_again_while_signing_out_everywhere_stays_signed_in()
    {
        await using var host = await StartAsync(Storage.InMemory());
        Visitor first = new(), second = new();
        await first.GetAsync(host, "/in?user=ada");
        await second.GetAsync(host, "/in?user=ada");

        await first.GetAsync(host, "/change-password");

        (await first.GetAsync(host, "/me")).Should().Be("ada");
        (await second.GetAsync(host, "/me")).Should().Be("nobody");
    }

    [Fact]
    public async Task Ticket_expires_and_leaves_the_namespace()
    {
        await using var host = await StartAsync(Storage.InMemory());
        var visitor = new Visitor();
        await visitor.GetAsync(host, "/in?user=ada");

        _time.Advance(TimeSpan.FromMinutes(61));

        (await visitor.GetAsync(host, "/me")).Should().Be("nobody");
        KeysIn(host).Should().BeEmpty();
    }

    [Fact]
    public async Task Visitor_who_keeps_coming_stays_signed_in_also_across_restarts()
    {
        using var storage = Storage.InDirectory();
        var visitor = new Visitor();
        await using (var host = await StartAsync(storage))
        {
            await visitor.GetAsync(host, "/in?user=ada");
        }

        for (var i = 0; i < 4; i++)
        {
            _time.Advance(TimeSpan.FromMinutes(40));
            await using var host = await StartAsync(storage);
            (await visitor.GetAsync(host, "/me")).Should().Be("ada");
            KeysIn(host).Should().ContainSingle();
        }
    }

    [Fact]
    public async Task Other_user_who_signs_in_with_the_same_browser_takes_over_the_session()
    {
        await using var host = await StartAsync(Storage.InMemory());
        var visitor = new Visitor();
        await visitor.GetAsync(host, "/in?user=ada");
        await visitor.GetAsync(host, "/in?user=grace");
        (await visitor.GetAsync(host, "/me")).Should().Be("grace");

        await host.Services.GetRequiredService<KvTicketStore>().RemoveAllAsync("ada");
        (await visitor.GetAsync(host, "/me")).Should().Be("grace");
        await host.Services.GetRequiredService<KvTicketStore>().RemoveAllAsync("grace");
        (await visitor.GetAsync(host, "/me")).Should().Be("nobody");
    }

    [Fact]
    public async Task Failing_disk_makes_a_sign_in_fail_and_leaves_visitors_signed_in()
    {
        var storage = Storage.OnDisk();
        var host = await StartAsync(storage);
        var visitor = new Visitor();
        await visitor.GetAsync(host, "/in?user=ada");
        _ = new FaultyDisk(storage.Disk, "flush", 1, "Input/output error", isForGood: true);

        await new Visitor().Awaiting(other => other.GetAsync(host, "/in?user=grace")).Should().ThrowAsync<KvPersistenceException>();
        (await visitor.GetAsync(host, "/me")).Should().Be("ada");
    }

    [Theory]
    [InlineData(null, true, true)]
    [InlineData("first", true, false)]
    [InlineData("second", false, true)]
    public async Task Store_is_connected_to_all_schemes_or_the_one_that_is_named(string? scheme, bool first, bool second)
    {
        await using var host = await AdapterHost.StartAsync(services =>
        {
            services.AddKvTicketStore("SESSIONS_KV", options => options.Scheme = scheme).AddKvNamespace("SESSIONS_KV");
            services.AddAuthentication().AddCookie("first").AddCookie("second");
        });
        var options = host.Services.GetRequiredService<IOptionsMonitor<CookieAuthenticationOptions>>();

        (options.Get("first").SessionStore is KvTicketStore).Should().Be(first);
        (options.Get("second").SessionStore is KvTicketStore).Should().Be(second);
    }

    [Fact]
    public async Task Store_that_the_application_has_set_is_kept()
    {
        var own = new OwnStore();
        await using var host = await AdapterHost.StartAsync(services =>
        {
            services.AddAuthentication().AddCookie(options => options.SessionStore = own);
            services.AddKvTicketStore("SESSIONS_KV").AddKvNamespace("SESSIONS_KV");
        });

        host.Services.GetRequiredService<IOptionsMonitor<CookieAuthenticationOptions>>().Get("Cookies").SessionStore.Should().BeSameAs(own);
    }

    [Fact]
    public async Task Scheme_that_is_unknown_stops_the_host()
    {
        await FluentActions.Awaiting(() => AdapterHost.StartAsync(services =>
        {
            services.AddAuthentication().AddCookie("Cookies");
            services.AddKvTicketStore("SESSIONS_KV", options => options.Scheme = "Cookie").AddKvNamespace("SESSIONS_KV");
        })).Should().ThrowAsync<OptionsValidationException>().WithMessage("*no authentication scheme named \"Cookie\"*Registered are: \"Cookies\"*");
    }

    [Fact]
    public async Task Namespace_that_is_unknown_stops_the_host()
    {
        await FluentActions.Awaiting(() => AdapterHost.StartAsync(services => services.AddKvTicketStore("SESSIONS")))
            .Should().ThrowAsync<OptionsValidationException>().WithMessage("AddKvTicketStore on the KV namespace \"SESSIONS\"*services.AddKvNamespace(\"SESSIONS\")*");
    }

    [Fact]
    public async Task Namespace_that_evicts_tickets_is_a_warning_at_start()
    {
        await using var host = await AdapterHost.StartAsync(services =>
        {
            services.AddKvNamespace("SESSIONS_KV", kv => kv.LimitMemory(8 << 20, KvMemoryPolicy.Evict));
            services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie();
            services.AddKvTicketStore("SESSIONS_KV");
        });

        host.Log.Warnings.Should().ContainSingle(line => line.Contains("AddKvTicketStore", StringComparison.Ordinal) && line.Contains("SESSIONS_KV", StringComparison.Ordinal)
            && line.Contains("signed out", StringComparison.Ordinal));
    }

    private Task<AdapterHost> StartAsync(Storage storage) => AdapterHost.StartAsync(
        services =>
        {
            storage.AddTo(services, "SESSIONS_KV");
            services.AddDataProtection().SetApplicationName("tests").PersistKeysToKvNamespace("SESSIONS_KV");
            services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme)
                .AddCookie(options => options.ExpireTimeSpan = TimeSpan.FromMinutes(60));
            services.AddKvTicketStore("SESSIONS_KV");
        },
        app =>
        {
            app.UseAuthentication();
            app.MapGet("/me", (HttpContext context) => context.User.FindFirstValue(ClaimTypes.NameIdentifier) ?? "nobody");
            app.MapGet("/in", SignInAsync);
            app.MapGet("/out", (HttpContext context) => context.SignOutAsync());
            app.MapGet("/out-everywhere", async (HttpContext context, KvTicketStore tickets) =>
                await tickets.RemoveAllAsync(context.User.FindFirstValue(ClaimTypes.NameIdentifier)!));
            app.MapGet("/change-password", async (HttpContext context, KvTicketStore tickets) =>
            {
                var user = context.User.FindFirstValue(ClaimTypes.NameIdentifier)!;
                await tickets.RemoveAllAsync(user);
                await SignInAsync(context, user);
            });
        },
        _time);

    private static Task SignInAsync(HttpContext context, string user) =>
        context.SignInAsync(new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, user)], "Cookies")));

    private static string[] KeysIn(AdapterHost host) =>
        [.. host.Services.GetRequiredKeyedService<IKvNamespace>("SESSIONS_KV").ListAllAsync("tickets/").ToBlockingEnumerable().Select(key => key.Name)];

    /// <summary>A browser: it keeps the cookies that it gets.</summary>
    private sealed class Visitor
    {
        private readonly CookieContainer _cookies = new();

        public string Cookie => _cookies.GetCookieHeader(new Uri("http://localhost/"));

        public Visitor Copy()
        {
            var copy = new Visitor();
            copy._cookies.Add(_cookies.GetAllCookies());
            return copy;
        }

        public async Task<string> GetAsync(AdapterHost host, string path)
        {
            var url = new Uri("http://localhost" + path);
            using var request = new HttpRequestMessage(HttpMethod.Get, url);
            if (Cookie.Length > 0)
            {
                request.Headers.Add("Cookie", Cookie);
            }

            using var response = await host.Client.SendAsync(request);
            foreach (var cookie in response.Headers.TryGetValues("Set-Cookie", out var set) ? set : [])
            {
                _cookies.SetCookies(url, cookie);
            }

            response.EnsureSuccessStatusCode();
            return await response.Content.ReadAsStringAsync();
        }
    }

    private sealed class OwnStore : ITicketStore
    {
        public Task<string> StoreAsync(AuthenticationTicket ticket) => throw new NotSupportedException();

        public Task RenewAsync(string key, AuthenticationTicket ticket) => throw new NotSupportedException();

        public Task<AuthenticationTicket?> RetrieveAsync(string key) => throw new NotSupportedException();

        public Task RemoveAsync(string key) => throw new NotSupportedException();
    }
}
