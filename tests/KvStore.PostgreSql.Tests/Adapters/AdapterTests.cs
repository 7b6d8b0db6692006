using System.Net;
using System.Net.Http.Json;
using System.Security.Claims;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Microsoft.FeatureManagement;

namespace KvStore.PostgreSql.Tests.Adapters;

/// <summary>The REST API, the dashboard and the adapters on a namespace that two applications share.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class AdapterTests(SharingApplications applications) : IClassFixture<SharingApplications>
{
    private SharingApplication First => applications.First;

    private SharingApplication Second => applications.Second;

    [Fact]
    public async Task Value_put_over_rest_is_read_listed_and_deleted_in_another_application()
    {
        using var first = First.NewVisitor();
        using var second = Second.NewVisitor();
        var id = await IdAsync(first);
        (await IdAsync(second)).Should().Be(id, "the id is derived from the name");
        var values = $"/client/v4/accounts/a/storage/kv/namespaces/{id}/";
        using var form = new MultipartFormDataContent { { new StringContent("text"), "value" }, { new StringContent("""{"by":"ada"}"""), "metadata" } };

        (await first.PutAsync(values + "values/rest%2Fk", form)).StatusCode.Should().Be(HttpStatusCode.OK);
        (await first.GetStringAsync(values + "values/rest%2Fk")).Should().Be("text");

        await WaitUntil.HoldsAsync(() => Second.Kv.TryGet("rest/k", out _));
        (await second.GetStringAsync(values + "values/rest%2Fk")).Should().Be("text");
        var keys = await second.GetFromJsonAsync<JsonElement>(values + "keys?prefix=rest/");
        keys.GetProperty("result")[0].GetProperty("name").GetString().Should().Be("rest/k");
        keys.GetProperty("result")[0].GetProperty("metadata").GetProperty("by").GetString().Should().Be("ada");

        (await second.DeleteAsync(values + "values/rest%2Fk")).StatusCode.Should().Be(HttpStatusCode.OK);
        await WaitUntil.HoldsAsync(() => !First.Kv.TryGet("rest/k", out _));
        (await first.GetAsync(values + "values/rest%2Fk")).StatusCode.Should().Be(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task Dashboard_lists_and_edits_an_entry_of_another_application()
    {
        await First.Kv.PutAsync("page/k", "before");
        await WaitUntil.HoldsAsync(() => Second.Kv.TryGet("page/k", out _));
        using var second = Second.NewVisitor();
        var path = $"/dashboard/ns/{await IdAsync(second)}";
        (await second.GetStringAsync(path + "?prefix=page%2F")).Should().Contain("entry?key=page%2Fk");
        var edit = await second.GetStringAsync(path + "/edit?key=page%2Fk");
        edit.Should().Contain("before</textarea>");
        using var form = new MultipartFormDataContent
        {
            { new StringContent(Field(edit, "__RequestVerificationToken")), "\"__RequestVerificationToken\"" },
            { new StringContent(Field(edit, "stamp")), "\"stamp\"" },
            { new StringContent("after"), "\"value\"" },
            { new StringContent("never"), "\"expiry\"" },
        };

        (await second.PostAsync(path + "/edit?key=page%2Fk", form)).StatusCode.Should().Be(HttpStatusCode.SeeOther);

        (await Second.Kv.GetTextAsync("page/k")).Should().Be("after");
        await WaitUntil.HoldsAsync(() => First.Kv.TryGet("page/k", out var value) && value.GetText() == "after");

        static string Field(string page, string name) => WebUtility.HtmlDecode(Regex.Match(page, $"name=\"{name}\" (?:type=\"hidden\" )?value=\"([^\"]*)\"").Groups[1].Value);
    }

    [Fact]
    public async Task Distributed_cache_is_one_cache_for_both_applications()
    {
        var first = First.Services.GetRequiredService<IDistributedCache>();
        var second = Second.Services.GetRequiredService<IDistributedCache>();
        await first.SetStringAsync("k", "v", new DistributedCacheEntryOptions { SlidingExpiration = TimeSpan.FromMinutes(10) });
        (await first.GetStringAsync("k")).Should().Be("v");

        await WaitUntil.HoldsAsync(async () => await second.GetStringAsync("k") == "v");
        await second.RefreshAsync("k");
        await second.RemoveAsync("k");
        await WaitUntil.HoldsAsync(async () => await first.GetStringAsync("k") is null);
    }

    [Fact]
    public async Task Hybrid_cache_is_one_cache_and_a_tag_is_removed_everywhere()
    {
        var first = First.Services.GetRequiredService<HybridCache>();
        var second = Second.Services.GetRequiredService<HybridCache>();
        var made = 0;
        (await MadeAsync(first)).Should().Be("made 1");
        await WaitUntil.HoldsAsync(async () => (await Second.Kv.ListAsync(new() { Prefix = "hybrid/" })).Keys.Count > 0);
        (await MadeAsync(second)).Should().Be("made 1", "the other application made it");

        await second.RemoveByTagAsync("numbers");
        (await MadeAsync(second)).Should().Be("made 2");
        await WaitUntil.HoldsAsync(async () => await MadeAsync(first) is not "made 1" and var text && text == await MadeAsync(second));
        made.Should().BeInRange(2, 3, "the first application makes one more where the removal arrives before what the second one has made");

        ValueTask<string> MadeAsync(HybridCache cache) => cache.GetOrCreateAsync("k", _ => new ValueTask<string>($"made {Interlocked.Increment(ref made)}"), tags: ["numbers"]);
    }

    [Fact]
    public async Task Sign_in_at_one_application_is_known_and_ended_at_the_other()
    {
        var (first, second) = (StoreOf(First), StoreOf(Second));
        var ticket = new AuthenticationTicket(new ClaimsPrincipal(new ClaimsIdentity([new Claim(ClaimTypes.Name, "ada")], "test")), "Cookies");
        var key = await first.StoreAsync(ticket);

        await WaitUntil.HoldsAsync(async () => await second.RetrieveAsync(key) is not null);
        (await second.RetrieveAsync(key))!.Principal.Identity!.Name.Should().Be("ada");
        await second.RemoveAsync(key);
        await WaitUntil.HoldsAsync(async () => await first.RetrieveAsync(key) is null);

        static ITicketStore StoreOf(SharingApplication application) =>
            application.Services.GetRequiredService<IOptionsMonitor<CookieAuthenticationOptions>>().Get("Cookies").SessionStore!;
    }

    [Fact]
    public async Task Page_of_one_application_is_served_by_the_other_until_its_tag_is_evicted()
    {
        using var first = First.NewVisitor();
        using var second = Second.NewVisitor();
        (await first.GetStringAsync("/page")).Should().Be("rendered 1 times");
        (await first.GetStringAsync("/page")).Should().Be("rendered 1 times");
        First.Rendered.Should().Be(1);
        await WaitUntil.HoldsAsync(async () => (await Second.Kv.ListAsync(new() { Prefix = "pages/" })).Keys.Count == (await First.Kv.ListAsync(new() { Prefix = "pages/" })).Keys.Count);

        (await second.GetStringAsync("/page")).Should().Be("rendered 1 times");
        Second.Rendered.Should().Be(0);

        await Second.Services.GetRequiredService<IOutputCacheStore>().EvictByTagAsync("page", default);
        await WaitUntil.HoldsAsync(async () => await first.GetStringAsync("/page") == "rendered 2 times");
    }

    [Fact]
    public async Task Session_goes_on_at_the_other_application()
    {
        var cookies = new CookieContainer();
        using var first = First.NewVisitor(cookies);
        using var second = Second.NewVisitor(cookies);
        (await first.GetStringAsync("/count")).Should().Be("1");
        (await first.GetStringAsync("/count")).Should().Be("2");

        // What is visible here a moment later is the session, and the key that protects its cookie.
        await WaitUntil.HoldsAsync(() => Second.Kv.Count == First.Kv.Count);
        await WaitUntil.HoldsAsync(async () => (await Second.Kv.ListAsync()).Keys.Select(key => key.Revision).SequenceEqual((await First.Kv.ListAsync()).Keys.Select(key => key.Revision)));
        (await second.GetStringAsync("/count")).Should().Be("3");
    }

    [Fact]
    public async Task Configuration_of_one_application_follows_a_write_of_the_other()
    {
        var kv = Second.Services.GetRequiredKeyedService<KvNamespace>("CONFIG_KV");
        await kv.PutAsync("site/Shop__Title", "Fruit");
        await WaitUntil.HoldsAsync(() => First.Configuration["Shop:Title"] == "Fruit");
        await kv.PutAsync("site/Shop", """{ "Prices": [ 3, 5 ] }""");
        await WaitUntil.HoldsAsync(() => First.Configuration["Shop:Prices:1"] == "5");
        await kv.DeleteAsync("site/Shop__Title");
        await WaitUntil.HoldsAsync(() => First.Configuration["Shop:Title"] is null);
    }

    [Fact]
    public async Task Feature_that_is_switched_in_one_application_is_switched_in_the_other()
    {
        var features = Second.Services.GetRequiredService<IVariantFeatureManager>();
        (await features.IsEnabledAsync("Beta")).Should().BeFalse();
        await First.Kv.PutAsync("features/Beta", """{ "enabled": true }""");
        await WaitUntil.HoldsAsync(async () => await features.IsEnabledAsync("Beta"));
        await First.Kv.PutAsync("features/Beta", "false");
        await WaitUntil.HoldsAsync(async () => !await features.IsEnabledAsync("Beta"));
    }

    private static async Task<string> IdAsync(HttpClient client)
    {
        var answer = await client.GetFromJsonAsync<JsonElement>("/client/v4/accounts/a/storage/kv/namespaces");
        return answer.GetProperty("result").EnumerateArray().Single(entry => entry.GetProperty("title").GetString() == "APP_KV").GetProperty("id").GetString()!;
    }
}
