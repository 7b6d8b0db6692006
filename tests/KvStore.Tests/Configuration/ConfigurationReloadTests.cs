using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace KvStore.Tests.Configuration;

/// <summary>How changes of a namespace reach the configuration of a host.</summary>
public sealed class ConfigurationReloadTests : IAsyncDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(1);

    private readonly FakeTimeProvider _time = new();
    private readonly LogLines _log = new();
    private readonly IHost _host;
    private readonly KvNamespace _kv;
    private readonly IConfigurationRoot _configuration;

    public ConfigurationReloadTests()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Configuration.AddKvNamespace("CONFIG_KV", kv => kv.Configure(o => o with { TimeProvider = _time }), o => o.Prefix = "site/");
        builder.Logging.AddProvider(_log);
        builder.Services.AddSingleton<TimeProvider>(_time);
        builder.Services.AddKvNamespace("CONFIG_KV");
        builder.Services.AddOptions<Shop>().BindConfiguration("Shop").Validate(shop => shop.Title != "forbidden");
        _host = builder.Build();
        _host.Start();
        _kv = _host.Services.GetRequiredKeyedService<KvNamespace>("CONFIG_KV");
        _configuration = (IConfigurationRoot)_host.Services.GetRequiredService<IConfiguration>();
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }

    [Fact]
    public async Task Options_monitor_sees_a_change()
    {
        var monitor = _host.Services.GetRequiredService<IOptionsMonitor<Shop>>();
        monitor.CurrentValue.Title.Should().BeNull();
        var changed = WhenChanged(monitor, shop => shop.Title == "Fruit");

        await _kv.PutAsync("site/Shop", """{ "Title": "Fruit" }""");

        (await changed).Title.Should().Be("Fruit");
        monitor.CurrentValue.Title.Should().Be("Fruit");
    }

    [Fact]
    public async Task Deleted_value_disappears()
    {
        await _kv.PutAsync("site/Shop:Title", "Fruit");
        await _configuration.WhenAsync("Shop:Title", "Fruit");

        await _kv.DeleteAsync("site/Shop:Title");

        await _configuration.WhenAsync("Shop:Title", null);
    }

    [Fact]
    public async Task Expired_value_disappears()
    {
        await _kv.PutAsync("site/Shop:Title", "Sale", new() { ExpirationTtl = TimeSpan.FromMinutes(1) });
        await _configuration.WhenAsync("Shop:Title", "Sale");

        _time.Advance(TimeSpan.FromMinutes(2));

        await _configuration.WhenAsync("Shop:Title", null);
    }

    [Fact]
    public async Task Broken_value_keeps_what_was_good_and_is_logged_without_its_content()
    {
        await _kv.PutAsync("site/Shop", """{ "Title": "Fruit" }""");
        await _configuration.WhenAsync("Shop:Title", "Fruit");

        await _kv.PutAsync("site/Shop", """{ "Title": secret }""");
        await _kv.PutAsync("site/Next", "seen");
        await _configuration.WhenAsync("Next", "seen");

        _configuration["Shop:Title"].Should().Be("Fruit");
        _log.Warnings.Should().ContainSingle().Which.Should().Contain("site/Shop").And.Contain("CONFIG_KV").And.Contain("line 1, byte 12").And.NotContain("secret");
        await _kv.PutAsync("site/Shop", """{ "Title": "Vegetables" }""");
        await _configuration.WhenAsync("Shop:Title", "Vegetables");
    }

    [Fact]
    public async Task Broken_value_keeps_what_was_good_when_everything_is_loaded_again()
    {
        await _kv.PutAsync("site/Shop", """{ "Title": "Fruit" }""");
        await _configuration.WhenAsync("Shop:Title", "Fruit");
        await _kv.PutAsync("site/Shop", "{");

        _configuration.Reload();
        _configuration.Reload();

        _configuration["Shop:Title"].Should().Be("Fruit");
        _log.Warnings.Should().ContainSingle("a value is logged once");
    }

    [Fact]
    public async Task Reload_by_hand_sees_every_write_before_it()
    {
        for (var i = 0; i < 50; i++)
        {
            await _kv.PutAsync("site/Count", $"{i}");
            _configuration.Reload();
            _configuration["Count"].Should().Be($"{i}");
        }
    }

    [Fact]
    public async Task Writes_that_change_no_value_reload_nothing()
    {
        await _kv.PutAsync("site/Shop:Title", "Fruit");
        await _configuration.WhenAsync("Shop:Title", "Fruit");
        var reloads = 0;
        var last = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var registration = ChangeToken.OnChange(_configuration.GetReloadToken, () =>
        {
            reloads++;
            if (_configuration["Next"] == "seen")
            {
                last.TrySetResult();
            }
        });

        await _kv.PutAsync("site/Shop:Title", "Fruit");
        await _kv.TouchAsync("site/Shop:Title", TimeSpan.FromHours(1));
        await _kv.PutAsync("other/Shop:Title", "Vegetables");
        await _kv.PutAsync("site/Next", "seen");
        await last.Task.WaitAsync(s_patience);

        reloads.Should().Be(1, "only the last write has changed a value");
    }

    [Fact]
    public async Task Options_that_are_refused_do_not_end_the_reloading()
    {
        var monitor = _host.Services.GetRequiredService<IOptionsMonitor<Shop>>();
        _ = monitor.CurrentValue;
        await _kv.PutAsync("site/Shop:Title", "forbidden");
        await _configuration.WhenAsync("Shop:Title", "forbidden");
        var changed = WhenChanged(monitor, shop => shop.Title == "Fruit");

        await _kv.PutAsync("site/Shop:Title", "Fruit");

        (await changed).Title.Should().Be("Fruit");
        _log.Lines.Should().Contain(line => line.Contains("Code that is called when the configuration changes has failed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Reload_in_a_callback_of_a_reload_does_not_wait_for_itself()
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _ = _configuration.GetReloadToken().RegisterChangeCallback(
            _ =>
            {
                _configuration.Reload();
                done.TrySetResult();
            },
            null);

        await _kv.PutAsync("site/Shop:Title", "Fruit");

        await done.Task.WaitAsync(s_patience);
        _configuration["Shop:Title"].Should().Be("Fruit");
    }

    [Fact]
    public async Task Colliding_keys_are_logged_once()
    {
        await _kv.PutAsync("site/Shop:Title", "a");
        await _kv.PutAsync("site/shop:title", "b");
        await _configuration.WhenAsync("Shop:Title", "b");
        await _kv.PutAsync("site/shop:title", "c");
        await _configuration.WhenAsync("Shop:Title", "c");

        _log.Warnings.Should().ContainSingle().Which.Should().Contain("site/Shop:Title").And.Contain("site/shop:title");
    }

    [Fact]
    public async Task Configuration_converges_beside_writers_and_shows_no_half_of_a_value()
    {
        const int Writes = 300;
        var torn = new System.Collections.Concurrent.ConcurrentQueue<string>();
        using var registration = ChangeToken.OnChange(_configuration.GetReloadToken, () =>
        {
            // The next values are published after this has returned.
            var values = _configuration.GetSection("Pair").GetChildren().Select(static child => child.Value).ToList();
            if (values.Distinct().Count() > 1)
            {
                torn.Enqueue(string.Join(", ", values));
            }
        });
        await Parallel.ForAsync(0, 4, async (writer, end) =>
        {
            for (var i = 1; i <= Writes; i++)
            {
                await _kv.PutAsync($"site/W{writer}:Value", $"{i}", cancellationToken: end);
                await _kv.PutAsync("site/Pair", $$"""{ "A": "{{writer}}-{{i}}", "B": "{{writer}}-{{i}}", "C": "{{writer}}-{{i}}" }""", cancellationToken: end);
                if (i % 7 == 0)
                {
                    await _kv.DeleteAsync($"site/W{writer}:Value", end);
                }
            }
        });
        await _kv.PutAsync("site/Last", "seen");
        await _configuration.WhenAsync("Last", "seen");

        torn.Should().BeEmpty();
        Enumerable.Range(0, 4).Select(writer => _configuration[$"W{writer}:Value"]).Should().AllBe($"{Writes}");
        var last = System.Text.Json.JsonDocument.Parse((await _kv.GetTextAsync("site/Pair"))!).RootElement.GetProperty("A").GetString();
        _configuration.GetSection("Pair").GetChildren().Select(static child => child.Value).Should().Equal(last, last, last);
    }

    [Fact]
    public async Task Loading_again_beside_writers_loses_no_change()
    {
        const int Writes = 300;
        var reloading = Parallel.ForAsync(0, 100, (_, _) =>
        {
            _configuration.Reload();
            return default;
        });
        for (var i = 1; i <= Writes; i++)
        {
            await _kv.PutAsync($"site/Key{i % 10}", $"{i}");
        }

        await reloading;
        await _kv.PutAsync("site/Last", "seen");
        await _configuration.WhenAsync("Last", "seen");

        Enumerable.Range(0, 10).Select(key => _configuration[$"Key{key}"]).Should().Equal(Enumerable.Range(0, 10).Select(key => $"{(key == 0 ? Writes : Writes - 10 + key)}"));
    }

    [Fact]
    public async Task Without_reload_on_change_only_a_reload_by_hand_sees_changes()
    {
        await using var kv = KvNamespace.Create("OTHER_KV");
        using var configuration = (ConfigurationRoot)new ConfigurationBuilder().AddKvNamespace(kv, o => o.ReloadOnChange = false).Build();
        await kv.PutAsync("a", "1");
        configuration["a"].Should().BeNull();

        configuration.Reload();

        configuration["a"].Should().Be("1");
    }

    private static async Task<Shop> WhenChanged(IOptionsMonitor<Shop> monitor, Func<Shop, bool> isExpected)
    {
        var changed = new TaskCompletionSource<Shop>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var registration = monitor.OnChange(shop =>
        {
            if (isExpected(shop))
            {
                changed.TrySetResult(shop);
            }
        });
        return await changed.Task.WaitAsync(s_patience);
    }

    private sealed class Shop
    {
        public string? Title { get; set; }
    }
}
