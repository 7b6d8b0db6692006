using System.Net;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace KvStore.Dashboard.Tests;

public sealed class DashboardAccessTests : DashboardTest
{
    private const string SecretKey = "a-key-that-nobody-may-see";

    private static readonly byte[] s_file = "[{\"key\":\"from-a-file\",\"value\":\"v\"}]"u8.ToArray();

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        await Kv.PutAsync(SecretKey, "a value");
    }

    [Theory]
    [InlineData(null, HttpStatusCode.Unauthorized)]
    [InlineData("stranger", HttpStatusCode.Forbidden)]
    public async Task Without_meeting_the_policy_nobody_sees_or_changes_anything_on_any_route(string? user, HttpStatusCode status)
    {
        using var stranger = new DashboardClient(Host.Url, user);
        var token = await Browser.TokenAsync();
        var before = await StateAsync();
        foreach (var (method, path) in Routes())
        {
            var page = method == "GET" ? await stranger.GetAsync(path) : await stranger.PostContentAsync(path, DashboardClient.Parts(token, s_file, AllFields));

            page.Status.Should().Be(status, $"{method} {path}");
            page.Body.Should().BeEmpty(path);
        }

        (await StateAsync()).Should().Equal(before);
    }

    [Fact]
    public async Task Change_without_a_valid_token_is_refused_on_every_route_and_changes_nothing()
    {
        using var other = new DashboardClient(Host.Url);
        var ofAnotherSession = await other.TokenAsync();
        await Browser.TokenAsync();
        var before = await StateAsync();
        var changes = Routes().Where(route => route.Method == "POST").ToList();
        changes.Should().HaveCountGreaterThanOrEqualTo(7);
        foreach (var (_, path) in changes)
        {
            foreach (var token in new[] { null, "", "nonsense", ofAnotherSession })
            {
                (await Browser.PostWithAsync(token, path, AllFields)).Status.Should().Be(HttpStatusCode.BadRequest, $"{path} as a form with {token}");
                (await Browser.PostContentAsync(path, DashboardClient.Parts(token, s_file, AllFields))).Status.Should().Be(HttpStatusCode.BadRequest, $"{path} in parts with {token}");
                if (token is { Length: > 0 })
                {
                    (await Browser.PostContentAsync(path, DashboardClient.Parts(null, s_file, AllFields), ("RequestVerificationToken", token))).Status.Should().Be(HttpStatusCode.BadRequest, $"{path} with the header {token}");
                }
            }

            // What a page elsewhere can send without being asked first.
            (await Browser.PostContentAsync(path, new StringContent("{}", null, "text/plain"))).Status.Should().Be(HttpStatusCode.BadRequest, path);
            (await Browser.PostContentAsync(path, new StringContent("{}", null, "application/json"))).Status.Should().Be(HttpStatusCode.BadRequest, path);
        }

        (await StateAsync()).Should().Equal(before);
    }

    [Fact]
    public async Task A_route_is_either_a_page_that_is_got_or_a_change_that_is_posted()
    {
        var endpoints = DashboardEndpoints();

        endpoints.Should().OnlyContain(endpoint => endpoint.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Count == 1);
        endpoints.SelectMany(endpoint => endpoint.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods).Distinct().Should().BeEquivalentTo("GET", "POST");
        endpoints.Should().OnlyContain(endpoint => endpoint.Metadata.GetMetadata<IAuthorizeData>()!.Policy == DashboardHost.Policy);
        foreach (var (_, path) in Routes().Where(route => route.Method == "POST" && !route.Path.Contains("/edit") && !route.Path.Contains("/new")))
        {
            (await Browser.GetAsync(path)).Status.Should().Be(HttpStatusCode.MethodNotAllowed, path);
        }
    }

    [Fact]
    public async Task A_token_in_the_header_is_as_good_as_one_in_the_form()
    {
        var token = await Browser.TokenAsync();

        var page = await Browser.PostContentAsync(Ns + "/import", DashboardClient.Parts(null, s_file), ("RequestVerificationToken", token));

        page.Status.Should().Be(HttpStatusCode.OK);
        (await Kv.GetTextAsync("from-a-file")).Should().Be("v");
    }

    [Fact]
    public async Task Token_is_the_first_part_of_a_multipart_form_and_nothing_is_read_before_it()
    {
        var token = await Browser.TokenAsync();
        var content = DashboardClient.Parts(null, s_file);
        content.Add(new StringContent(token), "\"__RequestVerificationToken\"");

        (await Browser.PostContentAsync(Ns + "/import", content)).Status.Should().Be(HttpStatusCode.BadRequest);

        (await Kv.GetAsync("from-a-file")).Exists.Should().BeFalse();
    }

    [Fact]
    public async Task Every_response_allows_only_the_script_of_the_dashboard()
    {
        // Streams do not end, so a client that reads a response whole never gets one.
        foreach (var (_, path) in Routes().Where(route => route.Method == "GET" && !route.Path.Contains("/stream") && !route.Path.Contains("/changes")))
        {
            var page = await Browser.GetAsync(path);

            page.Headers["Content-Security-Policy"].Should().Be(
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'", path);
            page.Headers["X-Content-Type-Options"].Should().Be("nosniff");
            page.Headers["Referrer-Policy"].Should().Be("no-referrer");
            if (page.Headers.GetValueOrDefault("Content-Type")?.StartsWith("text/html", StringComparison.Ordinal) == true)
            {
                page.Headers["Cache-Control"].Should().Contain("no-store");
                page.Text.Should().StartWith("<!DOCTYPE html>").And.Contain("<html lang=\"en\">").And.Contain("href=\"#content\"");
                page.Text.Should().NotMatchRegex("<[a-z]+[^>]* (style|on[a-z]+)=", "the policy forbids it");
                page.Text.Should().NotMatchRegex("<script(?! src=\"/dashboard/assets/)", "scripts come from files");
                page.Text.Should().NotMatchRegex("(src|href|action)=\"(https?:)?//", "nothing comes from elsewhere");
            }
        }
    }

    [Fact]
    public async Task Style_and_script_have_content_hashes_in_their_names_and_are_cached_forever()
    {
        var page = await Browser.GetAsync("");
        var assets = Regex.Matches(page.Text, "(?:href|src)=\"/dashboard(/assets/[^\"]+)\"").Select(match => match.Groups[1].Value).Distinct().ToList();
        assets.Should().HaveCount(3);
        foreach (var path in assets)
        {
            var asset = await Browser.GetAsync(path);

            asset.Status.Should().Be(HttpStatusCode.OK);
            asset.Headers["Cache-Control"].Should().Contain("immutable").And.Contain("max-age=31536000");
            asset.Headers["ETag"].Should().MatchRegex("^\"[0-9a-f]{16}\"$");
            path.Should().Contain(asset.Headers["ETag"].Trim('"'));
            asset.Body.Should().NotBeEmpty();
        }

        (await Browser.GetAsync("/assets/dashboard.css")).Status.Should().Be(HttpStatusCode.NotFound);
        (await Browser.GetAsync("/assets/..%2f..%2fKvStore.dll")).Status.Should().Be(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task Nothing_is_open_unless_somebody_says_so_and_then_it_is_logged()
    {
        var unsaid = () => DashboardHost.StartAsync(Catalog, Time, _ => { });
        await unsaid.Should().ThrowAsync<InvalidOperationException>().WithMessage("*AllowAnonymous*");

        using var log = new LogLines();
        await using var open = await DashboardHost.StartAsync(Catalog, Time, options => options.AllowAnonymous(), log: log);
        using var nobody = new DashboardClient(open.Url, user: null);
        (await nobody.GetAsync(Ns)).Text.Should().Contain(SecretKey);
        (await nobody.PostAsync("/create", ("title", "by nobody"))).Status.Should().Be(HttpStatusCode.SeeOther);
        (await nobody.PostWithAsync(null, "/create", ("title", "without a token"))).Status.Should().Be(HttpStatusCode.BadRequest);
        log.Lines.Should().Contain(line => line.StartsWith("Warning") && line.Contains("dashboard") && line.Contains("AllowAnonymous"));
    }

    [Fact]
    public async Task Open_means_open_even_where_the_application_asks_everybody_who_they_are()
    {
        await using var open = await DashboardHost.StartAsync(
            Catalog, Time, options => options.AllowAnonymous(), services => services.AddAuthorizationBuilder().SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build()));
        using var nobody = new DashboardClient(open.Url, user: null);

        (await nobody.GetAsync("")).Status.Should().Be(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Misconfiguration_is_reported_when_the_dashboard_is_mapped()
    {
        var unknown = () => DashboardHost.StartAsync(Catalog, Time, options => options.RequirePolicy("unknown"));
        await unknown.Should().ThrowAsync<InvalidOperationException>().WithMessage("*\"unknown\"*");

        var both = () => DashboardHost.StartAsync(Catalog, Time, options => options.RequirePolicy(DashboardHost.Policy).AllowAnonymous());
        await both.Should().ThrowAsync<InvalidOperationException>().WithMessage("*void*");

        var noAntiforgery = () => DashboardHost.StartAsync(Catalog, Time, services: services => services.RemoveAll<IAntiforgery>());
        await noAntiforgery.Should().ThrowAsync<InvalidOperationException>().WithMessage("*AddAntiforgery*");

        var noAuthorization = () => DashboardHost.StartAsync(Catalog, Time, services: services => services.RemoveAll<IAuthorizationPolicyProvider>());
        await noAuthorization.Should().ThrowAsync<InvalidOperationException>().WithMessage("*AddAuthorization*");

        var badPrefix = () => DashboardHost.StartAsync(Catalog, Time, options => options.RequirePolicy(DashboardHost.Policy).Prefix = "kv/");
        await badPrefix.Should().ThrowAsync<InvalidOperationException>().WithMessage("*Prefix*slash*");

        await using var noCatalog = WebApplication.CreateSlimBuilder().Build();
        var map = () => noCatalog.MapKvDashboard(options => options.AllowAnonymous());
        map.Should().Throw<InvalidOperationException>().WithMessage("*AddKvCatalog*");
    }

    [Fact]
    public async Task A_policy_may_be_given_as_it_is()
    {
        var policy = new AuthorizationPolicyBuilder().RequireUserName("ada").Build();
        await using var host = await DashboardHost.StartAsync(Catalog, Time, options => options.RequirePolicy(policy));
        using var ada = new DashboardClient(host.Url, "ada");
        using var owner = new DashboardClient(host.Url);

        (await ada.GetAsync("")).Status.Should().Be(HttpStatusCode.OK);
        (await owner.GetAsync("")).Status.Should().Be(HttpStatusCode.Forbidden);
    }

    [Fact]
    public async Task Dashboard_works_below_a_path_base_and_in_a_group()
    {
        await using var host = await DashboardHost.StartAsync(
            Catalog,
            Time,
            options => options.RequirePolicy(DashboardHost.Policy).Prefix = "/kv",
            where: app =>
            {
                app.UsePathBase("/base");
                app.UseRouting();
                app.UseAuthentication();
                app.UseAuthorization();
                return app.MapGroup("/admin");
            });
        using var browser = new DashboardClient(host.Url, prefix: "/base/admin/kv");

        var page = await browser.GetAsync("/");
        page.Status.Should().Be(HttpStatusCode.OK);
        page.Text.Should().Contain("src=\"/base/admin/kv/assets/").And.Contain($"href=\"/base/admin/kv/ns/{Entry.Id}\"");
        (await browser.PostAsync("/create", ("title", "below"))).Location.Should().StartWith("/base/admin/kv/ns/");
        (await browser.GetAsync(Ns)).Links.Should().Contain($"/base/admin/kv/ns/{Entry.Id}/entry?key={SecretKey}");
    }

    private static (string Name, string Value)[] AllFields =>
    [
        ("title", "changed"), ("confirm", "tested"), ("stamp", "absent"), ("key", "put"), ("value", "put"), ("metadata", "1"), ("expiry", "never"),
    ];

    private IReadOnlyList<RouteEndpoint> DashboardEndpoints() =>
        [.. Host.Endpoints.Where(endpoint => endpoint.RoutePattern.RawText!.TrimStart('/').StartsWith("dashboard", StringComparison.Ordinal))];

    private IEnumerable<(string Method, string Path)> Routes() =>
        from endpoint in DashboardEndpoints()
        from method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods
        let path = endpoint.RoutePattern.RawText!.TrimStart('/')["dashboard".Length..].Replace("{id}", Entry.Id).Replace("{name}", "x.css").TrimEnd('/')
        select (method, $"{path}?key={SecretKey}");

    private async Task<IReadOnlyList<string>> StateAsync()
    {
        var state = new List<string>();
        foreach (var entry in Catalog.Entries)
        {
            state.Add(entry.Title);
            await foreach (var key in entry.Namespace.ListAllAsync())
            {
                state.Add($"{key.Name} {key.Metadata} {await entry.Namespace.GetTextAsync(key.Name)}");
            }
        }

        return state;
    }
}
