using System.Net;
using KvStore.TestKit.Persistence;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KvStore.Caching.Tests;

/// <summary>The sessions of ASP.NET over a namespace: a visitor keeps the session when the application restarts.</summary>
public sealed class SessionTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-sessions-").FullName;
    private readonly CookieContainer _cookies = new();
    private readonly FakeTimeProvider _clock = new(CacheUnderTestStart);

    private static DateTimeOffset CacheUnderTestStart => Distributed.CacheUnderTest.Start;

    public static TheoryData<string> Registrations => ["AddKvSessions", "AddSession on AddKvDistributedCache"];

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [MemberData(nameof(Registrations))]
    public async Task Session_survives_restarts_of_the_application(string registration)
    {
        for (var run = 1; run <= 3; run++)
        {
            await using var app = await StartAsync(services => Add(services, registration));
            (await VisitAsync(app)).Should().Be($"visit {(2 * run) - 1}");
            (await VisitAsync(app)).Should().Be($"visit {2 * run}");
        }
    }

    [Theory]
    [MemberData(nameof(Registrations))]
    public async Task Session_ends_when_it_was_idle_for_its_timeout_over_a_restart(string registration)
    {
        await using (var app = await StartAsync(services => Add(services, registration)))
        {
            (await VisitAsync(app)).Should().Be("visit 1");
            _clock.Advance(TimeSpan.FromMinutes(15));

            // A request that reads only: the session is refreshed, and not written.
            (await GetAsync(app, "/read")).Should().Be("1");
            _clock.Advance(TimeSpan.FromMinutes(10));
        }

        await using (var app = await StartAsync(services => Add(services, registration)))
        {
            _clock.Advance(TimeSpan.FromMinutes(10) - TimeSpan.FromMilliseconds(1));
            (await VisitAsync(app)).Should().Be("visit 2");
            _clock.Advance(TimeSpan.FromMinutes(20));
            (await VisitAsync(app)).Should().Be("visit 1");
        }
    }

    [Fact]
    public async Task Cleared_session_stays_empty_over_a_restart()
    {
        await using (var app = await StartAsync(services => Add(services, "AddKvSessions")))
        {
            (await VisitAsync(app)).Should().Be("visit 1");
            (await GetAsync(app, "/clear")).Should().Be("cleared");
        }

        await using (var app = await StartAsync(services => Add(services, "AddKvSessions")))
        {
            (await GetAsync(app, "/read")).Should().Be("none");
        }
    }

    [Fact]
    public async Task Sessions_are_kept_apart_from_the_cache_of_the_application()
    {
        await using var app = await StartAsync(services => services.AddKvNamespace("CACHE_KV").AddKvDistributedCache("CACHE_KV").AddKvSessions("SESSIONS_KV", o => o.Prefix = "visitors/"));
        await VisitAsync(app);

        var sessions = await app.Services.GetRequiredKeyedService<IKvNamespace>("SESSIONS_KV").ListAsync();
        sessions.Keys.Should().ContainSingle().Which.Name.Should().MatchRegex("^visitors/[0-9a-f-]{36}$");
        (await app.Services.GetRequiredKeyedService<IKvNamespace>("CACHE_KV").ListAsync()).Keys.Should().BeEmpty();
    }

    [Fact]
    public async Task Options_of_sessions_may_be_set_before_or_afterwards()
    {
        await using var app = await StartAsync(services => services
            .AddSession(o => o.IdleTimeout = TimeSpan.FromMinutes(3)).AddKvSessions("SESSIONS_KV").AddSession(o => o.Cookie.Name = "visitor"));

        await VisitAsync(app);
        _cookies.GetAllCookies().Should().ContainSingle().Which.Name.Should().Be("visitor");
        app.Services.GetRequiredService<Microsoft.AspNetCore.Session.ISessionStore>().Should().BeSameAs(app.Services.GetRequiredService<Microsoft.AspNetCore.Session.ISessionStore>());
        _clock.Advance(TimeSpan.FromMinutes(3));
        (await VisitAsync(app)).Should().Be("visit 1");
    }

    [Fact]
    public async Task Sessions_registered_wrongly_stop_the_host()
    {
        Func<Task> unknown = () => StartAsync(services => services.AddKvSessions("SESSION_KV"));
        Func<Task> twice = () => StartAsync(services => services.AddKvSessions("SESSIONS_KV").AddKvSessions("SESSIONS_KV"));

        (await unknown.Should().ThrowAsync<OptionsValidationException>()).WithMessage("*AddKvSessions*SESSION_KV*services.AddKvNamespace*");
        (await twice.Should().ThrowAsync<ArgumentException>()).WithMessage("*AddKvSessions(\"SESSIONS_KV\") was called before*");
    }

    [Fact]
    public void Prefix_that_no_session_can_have_is_refused_when_it_is_registered()
    {
        Refused("\uD800").WithMessage("*\"\\uD800\" is not Unicode*256 bytes*");
        Refused(new string('s', 257)).WithMessage("*too long*256 bytes*");
        Refused(null!);

        static FluentAssertions.Specialized.ExceptionAssertions<ArgumentException> Refused(string prefix)
        {
            var register = () => new ServiceCollection().AddKvSessions("SESSIONS_KV", o => o.Prefix = prefix);
            return register.Should().Throw<ArgumentException>().WithParameterName("KvSessionOptions.Prefix");
        }
    }

    [Fact]
    public async Task Failing_disk_makes_sessions_empty_and_no_request_fail()
    {
        var disk = new SimulatedDisk();
        await using var app = await StartAsync(
            services => services
                .AddKvNamespace("DISK_KV", kv => kv.Configure(o => o with { Persistence = new FilePersistence("disk", new FilePersistenceOptions(), _ => disk) }))
                .AddKvSessions("DISK_KV"));
        (await VisitAsync(app)).Should().Be("visit 1");
        _ = new FaultyDisk(disk, "flush", 1, "Input/output error", isForGood: true);

        (await VisitAsync(app)).Should().Be("visit 2", "it could be read, and not be written");
        (await VisitAsync(app)).Should().Be("visit 1", "what is there is not what the last request has written");
        (await VisitAsync(app)).Should().Be("visit 1");
    }

    [Fact]
    public async Task Session_that_is_too_large_is_logged_and_fails_no_request()
    {
        using var log = new LogLines();
        await using var app = await StartAsync(services => services
            .AddLogging(logging => logging.AddProvider(log))
            .AddKvNamespace("SMALL_KV", kv => kv.Configure(o => o with { Limits = o.Limits with { ValueBytesMax = 10 } }))
            .AddKvSessions("SMALL_KV"));

        (await VisitAsync(app)).Should().Be("visit 1");
        (await VisitAsync(app)).Should().Be("visit 1");
        log.Lines.Should().Contain(line => line.Contains("\"SMALL_KV\" has at most 10", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Namespace_that_evicts_sessions_is_a_warning_at_start()
    {
        using var log = new LogLines();
        await using var app = await StartAsync(services => services
            .AddLogging(logging => logging.AddProvider(log))
            .AddKvNamespace("EVICTING_KV", kv => kv.LimitMemory(8 << 20, KvMemoryPolicy.Evict))
            .AddKvSessions("EVICTING_KV"));

        (await VisitAsync(app)).Should().Be("visit 1");
        log.Warnings.Should().ContainSingle(line => line.Contains("AddKvSessions", StringComparison.Ordinal) && line.Contains("EVICTING_KV", StringComparison.Ordinal)
            && line.Contains("loses the session", StringComparison.Ordinal));
    }

    private static void Add(IServiceCollection services, string registration)
    {
        if (registration == "AddKvSessions")
        {
            services.AddKvSessions("SESSIONS_KV");
        }
        else
        {
            services.AddKvDistributedCache("SESSIONS_KV").AddSession();
        }
    }

    [Fact]
    public async Task Requests_of_sessions_are_counted()
    {
        using var counted = new AdapterRequests("COUNTED_SESSIONS_KV");
        await using var app = await StartAsync(services => services.AddKvNamespace("COUNTED_SESSIONS_KV").AddKvSessions("COUNTED_SESSIONS_KV"));
        await VisitAsync(app);
        await VisitAsync(app);
        await GetAsync(app, "/read");

        // The framework looks again before it writes a session.
        counted.Lines.Should().Equal(
            new[] { "get miss", "get miss", "set ok", "get hit", "get hit", "set ok", "get hit", "refresh hit" }.Select(line => $"sessions {line} 1"));
    }

    private async Task<WebApplication> StartAsync(Action<IServiceCollection> add)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { ContentRootPath = _directory });
        builder.WebHost.UseTestServer();
        builder.Services.AddSingleton<TimeProvider>(_clock);
        builder.Services.AddKvNamespace("SESSIONS_KV", kv => kv.PersistTo("data"));
        builder.Services.AddDataProtection().PersistKeysToFileSystem(new DirectoryInfo(Path.Combine(_directory, "keys"))).SetApplicationName("visits");
        add(builder.Services);
        var app = builder.Build();
        app.UseSession();
        app.MapGet("/visit", (HttpContext context) =>
        {
            var visits = (context.Session.GetInt32("visits") ?? 0) + 1;
            context.Session.SetInt32("visits", visits);
            return $"visit {visits}";
        });
        app.MapGet("/read", (HttpContext context) => context.Session.GetInt32("visits")?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "none");
        app.MapGet("/clear", (HttpContext context) =>
        {
            context.Session.Clear();
            return "cleared";
        });
        try
        {
            await app.StartAsync();
            return app;
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }
    }

    private Task<string> VisitAsync(WebApplication app) => GetAsync(app, "/visit");

    private async Task<string> GetAsync(WebApplication app, string path)
    {
        using var client = app.GetTestClient();
        var address = new Uri(client.BaseAddress!, path);
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        if (_cookies.GetCookieHeader(address) is { Length: > 0 } cookies)
        {
            request.Headers.Add("Cookie", cookies);
        }

        using var answer = await client.SendAsync(request);
        answer.EnsureSuccessStatusCode();
        if (answer.Headers.TryGetValues("Set-Cookie", out var set))
        {
            foreach (var cookie in set)
            {
                _cookies.SetCookies(address, cookie);
            }
        }

        return await answer.Content.ReadAsStringAsync();
    }
}
