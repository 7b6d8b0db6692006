using System.Net;
using System.Text.RegularExpressions;
using KvStore;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace EdgeSite.Tests;

/// <summary>The pages over HTTP, each test with a site of its own.</summary>
public sealed partial class SiteTests : IAsyncLifetime
{
    private readonly string _data = Directory.CreateTempSubdirectory("edgesite-").FullName;
    private readonly WebApplicationFactory<Program> _site;
    private readonly HttpClient _visitor;
    private readonly HashSet<WebApplicationFactory<Program>> _stopped = [];

    public SiteTests()
    {
        _site = Start();
        _visitor = _site.CreateClient();
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        _visitor.Dispose();
        await StopAsync(_site);
        Directory.Delete(_data, recursive: true);
    }

    [Fact]
    public async Task A_new_visitor_sees_the_theme_of_the_system()
    {
        (await _visitor.GetStringAsync("/")).Should().Contain("data-theme=\"system\"").And.Contain("aria-current=\"page\">Theme");
    }

    [Theory]
    [InlineData("dark")]
    [InlineData("light")]
    public async Task Every_page_is_rendered_in_the_theme_that_was_chosen(string theme)
    {
        await Post(_visitor, "/", "/theme", ("theme", theme));

        foreach (var path in new[] { "/", "/message", "/flags" })
        {
            (await _visitor.GetStringAsync(path)).Should().Contain($"data-theme=\"{theme}\"");
        }
    }

    [Fact]
    public async Task Another_visitor_keeps_the_own_theme()
    {
        await Post(_visitor, "/", "/theme", ("theme", "dark"));
        using var other = _site.CreateClient();

        (await other.GetStringAsync("/")).Should().Contain("data-theme=\"system\"");
    }

    [Fact]
    public async Task The_session_cookie_is_out_of_reach_of_scripts_and_lives_90_days()
    {
        using var client = _site.CreateClient(new WebApplicationFactoryClientOptions { AllowAutoRedirect = false });
        var response = await Post(client, "/", "/theme", ("theme", "dark"));

        var cookie = response.Headers.GetValues("Set-Cookie").Single(c => c.StartsWith("session=", StringComparison.Ordinal));
        cookie.Should().Contain("httponly").And.Contain("samesite=lax").And.Contain("max-age=7776000");
    }

    [Fact]
    public async Task An_unknown_theme_is_refused()
    {
        var response = await Post(_visitor, "/", "/theme", ("theme", "neon"));

        response.StatusCode.Should().Be(HttpStatusCode.BadRequest);
        (await _visitor.GetStringAsync("/")).Should().Contain("data-theme=\"system\"");
    }

    [Fact]
    public async Task The_pinned_message_is_the_seeded_one_until_it_is_changed()
    {
        (await _visitor.GetStringAsync("/message")).Should().Contain("<blockquote>Welcome!");

        await Post(_visitor, "/message", "/message", ("text", "Lunch at noon"));

        using var other = _site.CreateClient();
        (await other.GetStringAsync("/message")).Should().Contain("<blockquote>Lunch at noon</blockquote>");
    }

    [Fact]
    public async Task An_empty_message_takes_the_pinned_one_down()
    {
        await Post(_visitor, "/message", "/message", ("text", "  "));

        (await _visitor.GetStringAsync("/message")).Should().Contain("Nothing is pinned.");
    }

    [Fact]
    public async Task A_message_that_is_too_long_is_refused_and_changes_nothing()
    {
        var response = await Post(_visitor, "/message", "/message", ("text", new string('x', 501)));

        response.StatusCode.Should().Be(HttpStatusCode.BadRequest);
        (await response.Content.ReadAsStringAsync()).Should().Contain("501 characters; it may have 500");
        (await _visitor.GetStringAsync("/message")).Should().Contain("Welcome!");
    }

    [Fact]
    public async Task A_message_with_markup_is_shown_and_not_obeyed()
    {
        await Post(_visitor, "/message", "/message", ("text", "<script>alert(1)</script>"));

        (await _visitor.GetStringAsync("/message")).Should().Contain("&lt;script&gt;").And.NotContain("<script>alert");
    }

    [Fact]
    public async Task The_flags_of_each_tenant_are_listed_by_themselves()
    {
        (await _visitor.GetStringAsync("/flags?tenant=acme")).Should().Contain("beta-checkout").And.Contain("2026-01-12").And.NotContain("gift-cards");
        (await _visitor.GetStringAsync("/flags?tenant=globex")).Should().Contain("gift-cards").And.Contain("hedy").And.NotContain("beta-checkout");
    }

    [Fact]
    public async Task A_flag_is_added_switched_and_deleted()
    {
        await Post(_visitor, "/flags", "/flags/add", ("tenant", "acme"), ("name", "one-click"), ("by", "linus"));
        StateOf(await _visitor.GetStringAsync("/flags?tenant=acme"), "one-click").Should().Be("off");

        await Post(_visitor, "/flags", "/flags/switch", ("tenant", "acme"), ("name", "one-click"));
        var page = await _visitor.GetStringAsync("/flags?tenant=acme");
        StateOf(page, "one-click").Should().Be("on");
        page.Should().Contain("linus", "switching keeps who added it");

        await Post(_visitor, "/flags", "/flags/delete", ("tenant", "acme"), ("name", "one-click"));
        (await _visitor.GetStringAsync("/flags?tenant=acme")).Should().NotContain("one-click</code>");
    }

    [Fact]
    public async Task Applications_of_a_tenant_ask_whether_a_flag_is_on()
    {
        (await _visitor.GetStringAsync("/flags/acme/beta-checkout")).Should().Be("on");
        (await _visitor.GetStringAsync("/flags/acme/new-search")).Should().Be("off");
        (await _visitor.GetStringAsync("/flags/globex/beta-checkout")).Should().Be("off");
        (await _visitor.GetAsync("/flags/initech/beta-checkout")).StatusCode.Should().Be(HttpStatusCode.NotFound);

        await Post(_visitor, "/flags", "/flags/switch", ("tenant", "acme"), ("name", "new-search"));

        await WhenAnswered("/flags/acme/new-search", "on");
    }

    [Fact]
    public async Task Conditions_of_a_flag_stay_when_it_is_switched()
    {
        var flags = _site.Services.GetRequiredKeyedService<IKvNamespace>("FLAGS_KV");
        await flags.PutAsync(
            "flag:acme:nobody",
            """{ "conditions": { "client_filters": [ { "name": "Microsoft.Percentage", "parameters": { "Value": 0 } } ] } }""",
            new() { Metadata = KvMetadata.FromJson("""{ "enabled": false, "createdAt": "2026-01-12T09:30:00Z", "createdBy": "ada" }""") });

        await Post(_visitor, "/flags", "/flags/switch", ("tenant", "acme"), ("name", "nobody"));
        await Post(_visitor, "/flags", "/flags/switch", ("tenant", "acme"), ("name", "new-search"));
        await WhenAnswered("/flags/acme/new-search", "on");

        StateOf(await _visitor.GetStringAsync("/flags?tenant=acme"), "nobody").Should().Be("on");
        (await _visitor.GetStringAsync("/flags/acme/nobody")).Should().Be("off", "its percentage is 0");
    }

    [Fact]
    public async Task Configuration_that_a_test_adds_reads_the_namespace_of_the_site()
    {
        var directory = Path.Combine(_data, "configured");
        var site = new WebApplicationFactory<Program>().WithWebHostBuilder(host => host
            .UseSetting("Data", Path.Combine(_data, "others"))
            .UseSetting("KvStore:FLAGS_KV:Persistence:Directory", directory)
            .ConfigureAppConfiguration(configuration => configuration.AddKvNamespace("FLAGS_KV", read: o => o.Prefix = "settings/")));
        var settings = site.Services.GetRequiredService<IConfiguration>();
        var changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = settings.GetReloadToken().RegisterChangeCallback(_ => changed.TrySetResult(), null);

        await site.Services.GetRequiredKeyedService<IKvNamespace>("FLAGS_KV").PutAsync("settings/Title", "Fruit");
        await changed.Task.WaitAsync(TimeSpan.FromMinutes(1));

        settings["Title"].Should().Be("Fruit");
        await StopAsync(site);
        await using var reopened = await OpenWhenFreeAsync("FLAGS_KV", directory);
        (await reopened.GetTextAsync("settings/Title")).Should().Be("Fruit");
    }

    [Fact]
    public async Task Theme_message_and_flags_survive_a_restart()
    {
        using var client = _site.CreateClient(new WebApplicationFactoryClientOptions { AllowAutoRedirect = false });
        var response = await Post(client, "/", "/theme", ("theme", "dark"));
        var cookie = response.Headers.GetValues("Set-Cookie").Single(c => c.StartsWith("session=", StringComparison.Ordinal)).Split(';')[0];
        await Post(_visitor, "/message", "/message", ("text", "Lunch at noon"));
        await Post(_visitor, "/flags", "/flags/add", ("tenant", "acme"), ("name", "one-click"), ("by", "linus"));
        await Post(_visitor, "/flags", "/flags/switch", ("tenant", "acme"), ("name", "one-click"));
        await Post(_visitor, "/flags", "/flags/delete", ("tenant", "acme"), ("name", "beta-checkout"));

        await StopAsync(_site);
        var again = Start();
        using var visitor = again.CreateClient(new WebApplicationFactoryClientOptions { HandleCookies = false });
        visitor.DefaultRequestHeaders.Add("Cookie", cookie);

        (await visitor.GetStringAsync("/")).Should().Contain("data-theme=\"dark\"");
        (await visitor.GetStringAsync("/message")).Should().Contain("<blockquote>Lunch at noon</blockquote>");
        var flags = await visitor.GetStringAsync("/flags?tenant=acme");
        StateOf(flags, "one-click").Should().Be("on");
        flags.Should().Contain("linus").And.NotContain("beta-checkout</code>");
        await StopAsync(again);
    }

    [Fact]
    public async Task A_message_that_was_taken_down_stays_down_after_a_restart()
    {
        await Post(_visitor, "/message", "/message", ("text", ""));

        await StopAsync(_site);
        var again = Start();
        using var visitor = again.CreateClient();

        (await visitor.GetStringAsync("/message")).Should().Contain("Nothing is pinned.");
        await StopAsync(again);
    }

    [Fact]
    public async Task A_flag_with_markup_in_its_name_is_shown_and_can_be_deleted()
    {
        const string Name = "<b onclick=\"x\">&amp;'";
        await Post(_visitor, "/flags", "/flags/add", ("tenant", "acme"), ("name", Name), ("by", "<i>"));
        var page = await _visitor.GetStringAsync("/flags?tenant=acme");
        page.Should().NotContain("<b onclick").And.NotContain("<i>").And.Contain("&lt;b onclick=");

        await Post(_visitor, "/flags", "/flags/delete", ("tenant", "acme"), ("name", Name));
        (await _visitor.GetStringAsync("/flags?tenant=acme")).Should().NotContain("&lt;b onclick=");
    }

    [Theory]
    [InlineData("/flags/add", "nobody", "name", "me", "The tenant must be one of acme, globex.")]
    [InlineData("/flags/add", "acme", "", "me", "A flag's name must have 1 to 60 characters.")]
    [InlineData("/flags/add", "acme", "name", "", "Say who adds the flag")]
    [InlineData("/flags/switch", "acme", " ", "", "A flag's name must have 1 to 60 characters.")]
    [InlineData("/flags/delete", "nobody", "name", "", "The tenant must be one of acme, globex.")]
    public async Task Wrongly_filled_form_shows_why(string path, string tenant, string name, string by, string why)
    {
        var response = await Post(_visitor, "/flags", path, ("tenant", tenant), ("name", name), ("by", by));

        response.StatusCode.Should().Be(HttpStatusCode.BadRequest);
        WebUtility.HtmlDecode(await response.Content.ReadAsStringAsync()).Should().Contain(why);
    }

    [Theory]
    [InlineData("/theme", "theme", "dark")]
    [InlineData("/message", "text", "forged")]
    [InlineData("/flags/delete", "name", "beta-checkout")]
    public async Task A_form_without_its_token_is_refused(string path, string field, string value)
    {
        using var form = new FormUrlEncodedContent([new(field, value), new("tenant", "acme")]);

        var response = await _visitor.PostAsync(path, form);

        response.StatusCode.Should().Be(HttpStatusCode.BadRequest);
        (await _visitor.GetStringAsync("/message")).Should().NotContain("forged");
        (await _visitor.GetStringAsync("/flags")).Should().Contain("beta-checkout");
    }

    [Fact]
    public async Task A_site_with_replaced_namespaces_opens_none_of_its_directories()
    {
        var data = Path.Combine(_data, "none");
        var site = new WebApplicationFactory<Program>().WithWebHostBuilder(host => host
            .UseSetting("Data", data)
            .ConfigureTestServices(services => services.ReplaceKvNamespaces()));
        using (var visitor = site.CreateClient())
        {
            await Post(visitor, "/", "/theme", ("theme", "dark"));
            (await visitor.GetStringAsync("/")).Should().Contain("data-theme=\"dark\"");
            (await visitor.GetStringAsync("/message")).Should().Contain("<blockquote>Welcome!", "memory is new, and begins with the seed");
        }

        await StopAsync(site);

        Directory.Exists(data).Should().BeFalse();
    }

    [Fact]
    public async Task A_site_is_pointed_to_another_directory_by_a_setting()
    {
        var other = Directory.CreateTempSubdirectory("edgesite-other-").FullName;
        var site = new WebApplicationFactory<Program>().WithWebHostBuilder(host => host
            .UseSetting("Data", _data)
            .UseSetting("KvStore:SESSIONS_KV:Persistence:Directory", other)
            .UseSetting("KvStore:FLAGS_KV:Persistence:Enabled", "false")
            .UseSetting("KvStore:VISITS_KV:Persistence:Enabled", "false")
            .UseSetting("KvStore:CACHE_KV:Persistence:Enabled", "false")
            .UseSetting("KvStore:KEYS_KV:Persistence:Enabled", "false")
            .UseSetting("KvStore:MESSAGES_KV:Persistence:Enabled", "false"));
        using (var visitor = site.CreateClient())
        {
            await Post(visitor, "/", "/theme", ("theme", "dark"));
            (await visitor.GetStringAsync("/flags?tenant=acme")).Should().Contain("beta-checkout", "what is elsewhere begins with the seed too");
        }

        await StopAsync(site);

        Directory.EnumerateFiles(other, "*.log").Should().NotBeEmpty();
        Directory.Delete(other, recursive: true);
    }

    private WebApplicationFactory<Program> Start() =>
        new WebApplicationFactory<Program>().WithWebHostBuilder(host => host.UseSetting("Data", _data));

    // The thread of the site disposes the host too. The second call of Dispose does not wait for the first, but that of the namespaces
    // does.
    private async Task StopAsync(WebApplicationFactory<Program> site)
    {
        if (!_stopped.Add(site))
        {
            return;
        }

        var factory = site.Services.GetRequiredService<IKvNamespaceFactory>();
        var namespaces = factory.Names.Select(factory.Get).Cast<IAsyncDisposable>().ToList();
        await site.DisposeAsync();
        foreach (var kv in namespaces)
        {
            await kv.DisposeAsync();
        }
    }

    // The program of the site ends on a thread of its own, which may be the last one that has the configuration.
    private static async Task<KvNamespace> OpenWhenFreeAsync(string name, string directory)
    {
        for (var tries = 0; ; tries++)
        {
            try
            {
                return await KvNamespace.OpenAsync(name, new() { Persistence = new FilePersistence(directory) });
            }
            catch (KvDirectoryLockedException) when (tries < 600)
            {
                await Task.Delay(100);
            }
        }
    }

    // The site sees a change of a flag soon, and not at once: through a watch.
    private async Task WhenAnswered(string path, string answer)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (await _visitor.GetStringAsync(path, patience.Token) != answer)
        {
            await Task.Yield();
        }
    }

    private static string StateOf(string page, string flag) =>
        Regex.Match(page, $@"<code>{Regex.Escape(flag)}</code></td><td><span class=""state (?<state>on|off)""").Groups["state"].Value;

    private static async Task<HttpResponseMessage> Post(HttpClient client, string from, string to, params (string Name, string Value)[] fields)
    {
        var token = TokenField().Match(await client.GetStringAsync(from));
        token.Success.Should().BeTrue("each page with a form has a token in it");
        using var form = new FormUrlEncodedContent(
            [.. fields.Select(field => KeyValuePair.Create(field.Name, field.Value)), new(token.Groups["name"].Value, token.Groups["value"].Value)]);
        return await client.PostAsync(to, form);
    }

    [GeneratedRegex("<input type=\"hidden\" name=\"(?<name>__[^\"]+)\" value=\"(?<value>[^\"]+)\">")]
    private static partial Regex TokenField();
}
