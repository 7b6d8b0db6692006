using System.Globalization;
using System.Net;
using KvStore.AspNetCore.Tests.Adapters;
using KvStore.OutputCaching;
using KvStore.TestKit.Persistence;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace KvStore.AspNetCore.Tests.OutputCaching;

/// <summary>The output cache of the framework on the store.</summary>
public sealed class OutputCacheTests
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);

    private int _rendered;

    [Theory]
    [InlineData("before")]
    [InlineData("after")]
    [InlineData("never")]
    public async Task Page_comes_from_the_namespace_wherever_the_framework_is_registered(string addOutputCache)
    {
        await using var host = await StartAsync(Storage.InMemory(), addOutputCache);

        (await GetAsync(host, "/page")).Should().Be("1");
        (await GetAsync(host, "/page")).Should().Be("1");

        host.Services.GetRequiredService<IOutputCacheStore>().Should().BeOfType<KvOutputCacheStore>();
        host.Services.GetServices<IOutputCacheStore>().Should().ContainSingle();
        KeysIn(host).Should().ContainSingle().Which.Should().StartWith("pages/GET");
    }

    [Fact]
    public async Task Page_comes_from_the_cache_after_a_restart()
    {
        using var storage = Storage.InDirectory();
        await using (var host = await StartAsync(storage))
        {
            (await GetAsync(host, "/page")).Should().Be("1");
            (await GetAsync(host, "/tagged/a")).Should().Be("2");
        }

        await using var restarted = await StartAsync(storage);

        (await GetAsync(restarted, "/page")).Should().Be("1");
        (await GetAsync(restarted, "/tagged/a")).Should().Be("2");
        await restarted.Client.PostAsync("/evict/a", content: null);
        (await GetAsync(restarted, "/tagged/a")).Should().Be("3", "the tag was kept over the restart");
        (await GetAsync(restarted, "/page")).Should().Be("1");
    }

    [Fact]
    public async Task Headers_status_and_body_come_back_as_they_were()
    {
        await using var host = await StartAsync(Storage.InMemory());
        using var first = await host.Client.GetAsync("/headers");
        using var second = await host.Client.GetAsync("/headers");

        second.StatusCode.Should().Be(HttpStatusCode.OK);
        second.Headers.GetValues("X-Custom").Should().Equal("a", "b");
        second.Headers.Age.Should().NotBeNull("it comes from the cache");
        second.Content.Headers.ContentType!.ToString().Should().Be("text/html; charset=utf-8");
        (await second.Content.ReadAsByteArrayAsync()).Should().Equal(await first.Content.ReadAsByteArrayAsync()).And.HaveCount(200_000);
    }

    [Fact]
    public async Task Query_header_and_value_vary_the_page()
    {
        await using var host = await StartAsync(Storage.InMemory());
        (await GetAsync(host, "/query?q=1&x=1")).Should().Be("1");
        (await GetAsync(host, "/query?q=2&x=1")).Should().Be("2");
        (await GetAsync(host, "/query?q=1&x=2")).Should().Be("1", "x does not vary the page");
        (await GetAsync(host, "/query?q=2&x=2")).Should().Be("2");
        (await GetAsync(host, "/language", ("Accept-Language", "de"))).Should().Be("3");
        (await GetAsync(host, "/language", ("Accept-Language", "fr"))).Should().Be("4");
        (await GetAsync(host, "/language", ("Accept-Language", "de"))).Should().Be("3");
    }

    [Fact]
    public async Task Query_of_any_length_is_cached()
    {
        await using var host = await StartAsync(Storage.InMemory());
        var query = "/query?q=" + new string('q', 5000);

        (await GetAsync(host, query)).Should().Be("1");
        (await GetAsync(host, query)).Should().Be("1");
        (await GetAsync(host, query + "x")).Should().Be("2");
    }

    [Fact]
    public async Task Evicting_a_tag_renders_its_pages_anew_and_no_others()
    {
        await using var host = await StartAsync(Storage.InMemory());
        (await GetAsync(host, "/tagged/a")).Should().Be("1");
        (await GetAsync(host, "/tagged/b")).Should().Be("2");

        (await host.Client.PostAsync("/evict/a", content: null)).StatusCode.Should().Be(HttpStatusCode.OK);

        (await GetAsync(host, "/tagged/b")).Should().Be("2");
        (await GetAsync(host, "/tagged/a")).Should().Be("3");
        await host.Client.PostAsync("/evict/all", content: null);
        (await GetAsync(host, "/tagged/b")).Should().Be("4");
    }

    [Fact]
    public async Task Unchanged_page_is_answered_with_304_also_after_a_restart()
    {
        using var storage = Storage.InDirectory();
        await using (var host = await StartAsync(storage))
        {
            using var first = await host.Client.GetAsync("/etag");
            first.Headers.ETag!.Tag.Should().Be("\"v1\"");
            await CheckAsync(host);
        }

        await using var restarted = await StartAsync(storage);
        await CheckAsync(restarted);
        _rendered.Should().Be(1);

        static async Task CheckAsync(AdapterHost host)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/etag");
            request.Headers.TryAddWithoutValidation("If-None-Match", "\"v1\"");
            using var answer = await host.Client.SendAsync(request);
            answer.StatusCode.Should().Be(HttpStatusCode.NotModified);
            answer.Headers.ETag!.Tag.Should().Be("\"v1\"");
        }
    }

    [Fact]
    public async Task Page_expires()
    {
        await using var host = await StartAsync(Storage.InMemory());
        (await GetAsync(host, "/short")).Should().Be("1");
        _time.Advance(TimeSpan.FromMilliseconds(9999));
        (await GetAsync(host, "/short")).Should().Be("1");
        _time.Advance(TimeSpan.FromMilliseconds(1));
        (await GetAsync(host, "/short")).Should().Be("2");
    }

    [Fact]
    public async Task Many_requests_at_once_render_the_page_once()
    {
        await using var host = await StartAsync(Storage.InMemory());

        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => GetAsync(host, "/page")));

        answers.Should().OnlyContain(answer => answer == "1");
    }

    [Fact]
    public async Task Failing_disk_lets_every_request_be_answered()
    {
        var storage = Storage.OnDisk();
        var host = await StartAsync(storage);
        (await GetAsync(host, "/tagged/a")).Should().Be("1");
        _ = new FaultyDisk(storage.Disk, "flush", 1, "Input/output error", isForGood: true);

        (await GetAsync(host, "/page")).Should().Be("2");
        (await GetAsync(host, "/page")).Should().Be("3", "it could not be cached");
        (await GetAsync(host, "/tagged/a")).Should().Be("1", "it was cached before");
        (await host.Client.PostAsync("/evict/a", content: null)).StatusCode.Should().Be(HttpStatusCode.OK);
        (await GetAsync(host, "/tagged/a")).Should().Be("4");
        host.Log.Warnings.Should().Contain(line => line.Contains("could not be stored in the KV namespace CACHE_KV"));
    }

    [Fact]
    public async Task Closed_namespace_lets_every_request_be_answered()
    {
        await using var host = await StartAsync(Storage.InMemory());
        (await GetAsync(host, "/page")).Should().Be("1");
        await host.Services.GetRequiredKeyedService<KvNamespace>("CACHE_KV").DisposeAsync();

        (await GetAsync(host, "/page")).Should().Be("2");
        (await host.Client.PostAsync("/evict/a", content: null)).StatusCode.Should().Be(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Requests_are_counted_by_operation_and_outcome()
    {
        using var counted = new AdapterRequests("COUNTED_KV");
        await using var host = await StartAsync(Storage.InMemory(), name: "COUNTED_KV");
        await GetAsync(host, "/tagged/a");
        await GetAsync(host, "/tagged/a");
        await host.Client.PostAsync("/evict/a", content: null);

        counted.Lines.Should().Equal(new[] { "get miss", "set ok", "get hit", "evict ok" }.Select(line => $"output_cache {line} 1"));
    }

    [Fact]
    public async Task Namespace_that_is_unknown_stops_the_host()
    {
        await FluentActions.Awaiting(() => AdapterHost.StartAsync(services => services.AddKvOutputCache("CACHE")))
            .Should().ThrowAsync<OptionsValidationException>().WithMessage("AddKvOutputCache on the KV namespace \"CACHE\"*services.AddKvNamespace(\"CACHE\")*");
    }

    [Theory]
    [InlineData("ttl", "*60*ExpirationTtlMin*")]
    [InlineData("key", "*512*KeyBytesMax*")]
    [InlineData("metadata", "*512*MetadataBytesMax*")]
    public async Task Namespace_whose_limits_are_too_low_stops_the_host(string limit, string message)
    {
        await FluentActions.Awaiting(() => AdapterHost.StartAsync(services =>
        {
            services.AddKvNamespace("CACHE_KV", kv => kv.Limits(limits => limit switch
            {
                "ttl" => limits with { ExpirationTtlMin = TimeSpan.FromMinutes(2) },
                "key" => limits with { KeyBytesMax = 200 },
                _ => limits with { MetadataBytesMax = 100 },
            }));
            services.AddKvOutputCache("CACHE_KV");
        })).Should().ThrowAsync<OptionsValidationException>().WithMessage(message);
    }

    [Fact]
    public async Task Adapters_share_a_namespace_and_overlapping_prefixes_stop_the_host()
    {
        await FluentActions.Awaiting(() => AdapterHost.StartAsync(services =>
        {
            services.AddKvNamespace("CACHE_KV");
            services.AddKvOutputCache("CACHE_KV", options => options.Prefix = "t");
            services.AddKvTicketStore("CACHE_KV");
        })).Should().ThrowAsync<OptionsValidationException>().WithMessage("*\"t\"*");

        await using var host = await AdapterHost.StartAsync(services =>
        {
            services.AddKvNamespace("CACHE_KV");
            services.AddKvOutputCache("CACHE_KV");
            services.AddKvTicketStore("CACHE_KV");
        });
    }

    [Fact]
    public void Second_call_is_refused() =>
        new ServiceCollection().AddKvOutputCache("CACHE_KV").Invoking(services => services.AddKvOutputCache("CACHE_KV"))
            .Should().Throw<ArgumentException>().WithMessage("*AddKvOutputCache(\"CACHE_KV\")*");

    [Fact]
    public void Prefix_that_is_too_long_is_refused() =>
        new ServiceCollection().Invoking(services => services.AddKvOutputCache("CACHE_KV", options => options.Prefix = new string('p', 257)))
            .Should().Throw<ArgumentException>().WithMessage("*256*");

    private Task<AdapterHost> StartAsync(Storage storage, string addOutputCache = "before", string name = "CACHE_KV") => AdapterHost.StartAsync(
        services =>
        {
            if (addOutputCache == "before")
            {
                services.AddOutputCache();
            }

            services.AddKvOutputCache(name);
            if (addOutputCache == "after")
            {
                services.AddOutputCache();
            }

            storage.AddTo(services, name);
        },
        app =>
        {
            app.UseOutputCache();
            app.MapGet("/page", Render).CacheOutput();
            app.MapGet("/short", Render).CacheOutput(policy => policy.Expire(TimeSpan.FromSeconds(10)));
            app.MapGet("/query", Render).CacheOutput(policy => policy.SetVaryByQuery("q"));
            app.MapGet("/language", Render).CacheOutput(policy => policy.SetVaryByHeader("Accept-Language"));
            app.MapGet("/tagged/a", Render).CacheOutput(policy => policy.Tag("a", "all"));
            app.MapGet("/tagged/b", Render).CacheOutput(policy => policy.Tag("b", "all"));
            app.MapGet("/etag", (HttpContext context) =>
            {
                context.Response.Headers.ETag = "\"v1\"";
                return Render();
            }).CacheOutput();
            app.MapGet("/headers", (HttpContext context) =>
            {
                context.Response.Headers.Append("X-Custom", new(["a", "b"]));
                return Results.Text(new string('b', 200_000), "text/html; charset=utf-8");
            }).CacheOutput();
            app.MapPost("/evict/{tag}", (string tag, IOutputCacheStore cache, CancellationToken cancellationToken) => cache.EvictByTagAsync(tag, cancellationToken));
        },
        _time);

    private string Render() => Interlocked.Increment(ref _rendered).ToString(CultureInfo.InvariantCulture);

    private static async Task<string> GetAsync(AdapterHost host, string path, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        foreach (var (name, value) in headers)
        {
            request.Headers.Add(name, value);
        }

        using var answer = await host.Client.SendAsync(request);
        answer.StatusCode.Should().Be(HttpStatusCode.OK);
        return await answer.Content.ReadAsStringAsync();
    }

    private static string[] KeysIn(AdapterHost host) =>
        [.. host.Services.GetRequiredKeyedService<IKvNamespace>("CACHE_KV").ListAllAsync("pages/").ToBlockingEnumerable().Select(key => key.Name)];
}
