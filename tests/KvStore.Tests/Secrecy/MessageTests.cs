using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KvStore.Tests.Secrecy;

/// <summary>No message of the library holds content of a file, of a value or of a setting.</summary>
public sealed partial class MessageTests : IDisposable
{
    private const string Json = """{"name":"secret","secret":{"secret":[1,true,null,"secret"]},"id":7}""";

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-secrets-").FullName;
    private readonly List<string> _leaks = [];
    private int _failures;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Metadata_that_is_not_JSON_is_not_quoted()
    {
        foreach (var json in Secrets.Broken(Json))
        {
            await TryAsync(() => KvMetadata.FromJson(json));
        }

        Verify();
    }

    [Fact]
    public async Task Metadata_that_does_not_fit_a_type_is_not_quoted()
    {
        foreach (var json in Fitting())
        {
            var metadata = KvMetadata.FromJson(json);
            await TryAsync(() => metadata.As<int>());
            await TryAsync(() => metadata.As<Model>());
            await TryAsync(() => metadata.As<Dictionary<string, int>>());
            await TryAsync(() => metadata.As<Guid>());
            await TryAsync(() => metadata.As(ModelJson.Default.Model));
        }

        Verify();
    }

    [Fact]
    public async Task A_value_that_is_not_JSON_or_does_not_fit_is_not_quoted()
    {
        await using var kv = KvNamespace.Create("KV");
        foreach (var bytes in Secrets.BrokenBytes(Json).Concat(Fitting().Select(Encoding.UTF8.GetBytes)))
        {
            await kv.PutAsync("k", bytes);
            var value = await kv.GetAsync("k");
            await TryAsync(() => value.GetJson<Model>());
            await TryAsync(() => value.GetJson<Dictionary<string, int>>(new JsonSerializerOptions()));
            await TryAsync(() => value.GetJson(ModelJson.Default.Model));
            await TryAsync(async () => await kv.GetJsonAsync<Model>("k"));
            await TryAsync(async () => await kv.GetJsonAsync<DayOfWeek>("k"));
            await TryAsync(async () => await kv.GetJsonAsync("k", ModelJson.Default.Model));
            await TryAsync(async () => await kv.GetJsonAsync<Model>(["k"]));
            await TryAsync(async () => await kv.GetJsonAsync(["k"], ModelJson.Default.Model));
        }

        Verify();
    }

    [Fact]
    public async Task A_type_that_cannot_be_read_does_not_quote_the_value()
    {
        await using var kv = KvNamespace.Create("KV");
        await kv.PutAsync("k", """{"~hunter2~":{"id":1}}""");

        await TryAsync(async () => await kv.GetJsonAsync<Dictionary<string, IDisposable>>("k"));

        Verify();
    }

    [Fact]
    public async Task A_bulk_file_is_not_quoted()
    {
        await using var kv = KvNamespace.Create("KV");
        const string File = """[{"key":"secret","value":"secret","base64":true,"metadata":{"secret":1},"expiration":"secret","secret":1},{"key":1,"value":"secret"}]""";
        foreach (var bytes in Secrets.BrokenBytes(File))
        {
            await TryAsync(async () =>
            {
                var result = await KvBulk.ImportAsync(kv, new MemoryStream(bytes));
                Note(string.Join('\n', result.Errors.Select(error => error.Reason)));
            });
        }

        Verify();
    }

    [Theory]
    [InlineData("""{"vars":{"secret":"secret"},"kv_namespaces":[{"binding":"A","id":"secret"}]}""", "wrangler.jsonc")]
    [InlineData("""{"env":{"x":{"vars":{"secret":"secret"},"kv_namespaces":[{"binding":7,"id":"secret"}]}}}""", "wrangler.json")]
    [InlineData("name,token\nada,secret\n", "wrangler.jsonc")]
    [InlineData("[vars]\ntoken = \"secret\"\n[[kv_namespaces]]\nbinding = \"A\"\nid = \"secret\"\n", "wrangler.toml")]
    public async Task A_Wrangler_file_is_not_quoted(string file, string name)
    {
        var path = Path.Combine(_directory, name);
        foreach (var bytes in Secrets.BrokenBytes(file))
        {
            await System.IO.File.WriteAllBytesAsync(path, bytes);
            await TryAsync(() => new ServiceCollection().AddKvNamespacesFromWrangler(path));
        }

        Verify();
    }

    [Fact]
    public async Task A_setting_is_not_quoted()
    {
        string[] settings =
        [
            "", ":CACHE_KV", ":CACHE_KV:Profile", ":CACHE_KV:EnforceWriteRate", ":CACHE_KV:Limits", ":CACHE_KV:Persistence", ":CACHE_KV:Replication",
            .. Names<KvLimits>("Limits"), .. Names<FilePersistenceOptions>("Persistence"), .. Names<KvReplicationOptions>("Replication"),
            .. Names<KvEdgeCacheOptions>("Replication:EdgeCache"), ":CACHE_KV:Persistence:Enabled", ":CACHE_KV:Replication:Enabled",
            ":CACHE_KV:Replication:Lag:Min", ":CACHE_KV:Replication:Lag:Seed", ":CACHE_KV:Replication:ClockSkew:jnb", ":CACHE_KV:Unknown",
            ":CACHE_KV:Limits:Unknown", ":CACHE_KV:Persistence:Unknown", ":CACHE_KV:Replication:Unknown", ":CACHE_KV:Replication:EdgeCache:Unknown",
            ":OTHER:Limits:KeyBytesMax",
        ];
        foreach (var setting in settings)
        {
            foreach (var value in new[] { Secrets.Secret, "1" + Secrets.Secret, "00:" + Secrets.Secret, $"{Secrets.Secret},{Secrets.Secret}" })
            {
                await TryAsync(() => StartAsync((setting, value)));
            }
        }

        _failures.Should().BeGreaterThan(settings.Length);
        Verify();
    }

    [Fact]
    public async Task A_cursor_is_not_quoted()
    {
        await using var kv = KvNamespace.Create("KV");

        await TryAsync(async () => await kv.ListAsync(new KvListOptions { Cursor = Secrets.Secret }));
        await TryAsync(async () => await kv.ListAsync(new KvListOptions { Cursor = Convert.ToBase64String(Encoding.UTF8.GetBytes(Secrets.Secret)) }));

        Verify();
    }

    [Fact]
    public async Task A_damaged_file_of_a_namespace_is_not_quoted()
    {
        var whole = Path.Combine(_directory, "whole");
        await using (var kv = await KvNamespace.OpenAsync("KV", Options(whole)))
        {
            for (var i = 0; i < 20; i++)
            {
                await kv.PutAsync($"{Secrets.Secret}{i}", Secrets.Secret, new KvPutOptions { Metadata = KvMetadata.FromJson($"\"{Secrets.Secret}\"") });
            }

            await kv.PutAsync("large", new string('~', 5000));
            await kv.CompactAsync();
            await kv.PutAsync($"{Secrets.Secret}last", Secrets.Secret);
        }

        foreach (var file in Directory.GetFiles(whole))
        {
            var content = await File.ReadAllBytesAsync(file);
            foreach (var at in Enumerable.Range(0, 24).Select(i => i * Math.Max(1, content.Length / 24)).Where(at => at < content.Length))
            {
                var damaged = Path.Combine(_directory, "damaged");
                Directory.CreateDirectory(damaged);
                foreach (var other in Directory.GetFiles(whole))
                {
                    File.Copy(other, Path.Combine(damaged, Path.GetFileName(other)), overwrite: true);
                }

                await File.WriteAllBytesAsync(Path.Combine(damaged, Path.GetFileName(file)), [.. content[..at], .. "~hunter2~"u8, .. content[at..]]);
                await TryAsync(async () =>
                {
                    var log = new LogLines();
                    using var logging = new LoggerFactoryOf(log);
                    await using var kv = await KvNamespace.OpenAsync("KV", Options(damaged) with { LoggerFactory = logging });
                    Note(string.Join('\n', log.Lines));
                    _ = await kv.GetTextAsync("large");
                });
                Directory.Delete(damaged, recursive: true);
            }
        }

        Verify();
    }

    [Fact]
    public void The_test_sees_what_the_JSON_reader_quotes()
    {
        // If the texts stopped making it quote, nothing above could fail.
        var quoted = Secrets.Broken(Json).Count(json =>
        {
            try
            {
                JsonSerializer.Deserialize<Model>(json);
                return false;
            }
            catch (JsonException e)
            {
                return Secrets.LeakIn(e) is not null;
            }
        });

        quoted.Should().BeGreaterThan(100);
    }

    private static KvNamespaceOptions Options(string directory) => new()
    {
        Persistence = new FilePersistence(directory, new FilePersistenceOptions { LargeValueBytes = 4096 }),
    };

    // JSON that is whole, and fits no type that it is read as.
    private static IEnumerable<string> Fitting() => new[]
    {
        "\"secret\"", "[\"secret\"]", "{\"secret\":\"secret\"}", "{\"secret\":{}}", "{\"name\":{\"secret\":1}}", "{\"id\":\"secret\"}", "{\"day\":\"secret\"}",
        "{\"id\":1e400}", "{\"when\":\"secret\"}", "{\"more\":{\"secret\":\"secret\"}}", "{\"list\":[{\"secret\":[1]}]}",
    }.Select(json => json.Replace("secret", Secrets.Secret, StringComparison.Ordinal));

    private static IEnumerable<string> Names<T>(string section) =>
        typeof(T).GetProperties().Select(property => $":CACHE_KV:{section}:{property.Name}").Where(name => !name.EndsWith(":Directory", StringComparison.Ordinal));

    private async Task StartAsync((string Key, string Value) setting)
    {
        var log = new LogLines();
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = _directory });
        builder.Logging.Services.AddSingleton<Microsoft.Extensions.Logging.ILoggerProvider>(log);
        builder.Configuration.AddInMemoryCollection([new("KvStore" + setting.Key, setting.Value)]);
        builder.Services.AddKvNamespace("CACHE_KV", kv => kv.Replicate(r => r.Regions("jnb", "lhr")));
        using var host = builder.Build();
        try
        {
            await host.StartAsync();
            await host.StopAsync();
        }
        finally
        {
            Note(string.Join('\n', log.Lines));
        }
    }

    private Task TryAsync(Action action) => TryAsync(() =>
    {
        action();
        return Task.CompletedTask;
    });

    private async Task TryAsync(Func<Task> action)
    {
        try
        {
            await action();
        }
        catch (Exception e)
        {
            _failures++;
            if (Secrets.LeakIn(e) is { } leak)
            {
                _leaks.Add(leak);
            }
        }
    }

    private void Note(string said)
    {
        if (Secrets.LeakIn(said) is { } leak)
        {
            _leaks.Add(leak);
        }
    }

    private void Verify()
    {
        _leaks.Take(3).Should().BeEmpty();
        _failures.Should().BePositive();
    }

    internal sealed record Model(string? Name, int Id, DayOfWeek Day, DateTimeOffset When, Dictionary<string, int>? More, List<Dictionary<string, int>>? List);

    [JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
    [JsonSerializable(typeof(Model))]
    internal sealed partial class ModelJson : JsonSerializerContext;

    private sealed class LoggerFactoryOf(LogLines log) : Microsoft.Extensions.Logging.ILoggerFactory
    {
        public void AddProvider(Microsoft.Extensions.Logging.ILoggerProvider provider) => throw new NotSupportedException();

        public Microsoft.Extensions.Logging.ILogger CreateLogger(string categoryName) => log;

        public void Dispose()
        {
        }
    }
}
