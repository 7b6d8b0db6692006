using System.Net;
using System.Text.RegularExpressions;
using KvStore;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace EdgeSite.Tests;

/// <summary>Sign-ins, sessions and cached pages, over restarts of the site.</summary>
public sealed partial class AccountTests : IAsyncLifetime
{
    private readonly string _data = Directory.CreateTempSubdirectory("edgesite-").FullName;
    private readonly CookieContainer _cookies = new();
    private WebApplicationFactory<Program>? _site;

    public Task InitializeAsync()
    {
        Start();
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        await StopAsync();
        Directory.Delete(_data, recursive: true);
    }

    [Fact]
    public async Task Visitor_is_still_signed_in_after_a_restart_and_the_session_goes_on()
    {
        using (var visitor = Visitor())
        {
            await PostAsync(visitor, "/account", "/account/sign-in", ("name", "Ada <b>"));
            (await visitor.GetStringAsync("/account")).Should().Contain("Signed in as <strong>Ada &lt;b&gt;</strong>").And.Contain("session: 1.");
        }

        await StopAsync();
        Start();
        using var again = Visitor();
        (await again.GetStringAsync("/account")).Should().Contain("Signed in as <strong>Ada &lt;b&gt;</strong>").And.Contain("session: 2.");
        await PostAsync(again, "/account", "/account/sign-out", ("everywhere", "false"));
        (await again.GetStringAsync("/account")).Should().Contain("Your name");
    }

    [Fact]
    public async Task Report_comes_from_the_cache_after_a_restart_until_a_form_changes_something()
    {
        string first;
        using (var visitor = Visitor())
        {
            first = Rendered(await visitor.GetStringAsync("/report"));
            await PostAsync(visitor, "/account", "/account/sign-in", ("name", "Ada"));
            Rendered(await visitor.GetStringAsync("/report")).Should().NotBe(first, "a form evicts it");
            first = Rendered(await visitor.GetStringAsync("/report"));
            Rendered(await visitor.GetStringAsync("/report")).Should().Be(first, "it is cached for those who are signed in too");
        }

        await StopAsync();
        Start();
        using var again = Visitor();
        Rendered(await again.GetStringAsync("/report")).Should().Be(first);
        await PostAsync(again, "/message", "/message", ("text", "Lunch"));
        var changed = await again.GetStringAsync("/report");
        Rendered(changed).Should().NotBe(first);
        changed.Should().Contain("has 5 characters");
    }

    [Fact]
    public async Task Report_is_cached_for_each_theme()
    {
        using var visitor = Visitor();
        await PostAsync(visitor, "/", "/theme", ("theme", "dark"));
        using var other = _site!.CreateClient();

        (await visitor.GetStringAsync("/report")).Should().Contain("data-theme=\"dark\"");
        (await other.GetStringAsync("/report")).Should().Contain("data-theme=\"system\"");
        (await visitor.GetStringAsync("/report")).Should().Contain("data-theme=\"dark\"");
    }

    [Fact]
    public async Task Name_that_is_too_long_is_refused()
    {
        using var visitor = Visitor();

        (await PostAsync(visitor, "/account", "/account/sign-in", ("name", new string('a', 41)))).StatusCode.Should().Be(HttpStatusCode.BadRequest);
        (await visitor.GetStringAsync("/account")).Should().Contain("Your name");
    }

    private void Start() => _site = new WebApplicationFactory<Program>().WithWebHostBuilder(host => host.UseSetting("Data", _data));

    // The thread of the site disposes the host too. The second call of Dispose does not wait for the first, but that of the namespaces does.
    private async Task StopAsync()
    {
        var factory = _site!.Services.GetRequiredService<IKvNamespaceFactory>();
        var namespaces = factory.Names.Select(factory.Get).Cast<IAsyncDisposable>().ToList();
        await _site.DisposeAsync();
        foreach (var kv in namespaces)
        {
            await kv.DisposeAsync();
        }
    }

    // A browser, which keeps its cookies when the site is restarted.
    private HttpClient Visitor() => _site!.CreateDefaultClient(new Cookies(_cookies));

    private static string Rendered(string page) => Time().Match(page).Groups["time"].Value;

    private static async Task<HttpResponseMessage> PostAsync(HttpClient client, string from, string to, params (string Name, string Value)[] fields)
    {
        var token = TokenField().Match(await client.GetStringAsync(from));
        token.Success.Should().BeTrue("each page with a form has a token in it");
        using var form = new FormUrlEncodedContent(
            [.. fields.Select(field => KeyValuePair.Create(field.Name, field.Value)), new(token.Groups["name"].Value, token.Groups["value"].Value)]);
        return await client.PostAsync(to, form);
    }

    [GeneratedRegex("<time>(?<time>[^<]+)</time>")]
    private static partial Regex Time();

    [GeneratedRegex("<input type=\"hidden\" name=\"(?<name>__[^\"]+)\" value=\"(?<value>[^\"]+)\">")]
    private static partial Regex TokenField();

    private sealed class Cookies(CookieContainer cookies) : DelegatingHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (cookies.GetCookieHeader(request.RequestUri!) is { Length: > 0 } header)
            {
                request.Headers.Add("Cookie", header);
            }

            var response = await base.SendAsync(request, cancellationToken);
            foreach (var cookie in response.Headers.TryGetValues("Set-Cookie", out var set) ? set : [])
            {
                cookies.SetCookies(request.RequestUri!, cookie);
            }

            return response;
        }
    }
}
