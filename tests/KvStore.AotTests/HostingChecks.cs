using System.Text;
using KvStore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.AotTests;

/// <summary>Registration, configuration, Wrangler files and bulk files.</summary>
internal static class HostingChecks
{
    public static async Task RunAsync()
    {
        var path = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(path, """{ "kv_namespaces": [ { "binding": "FROM_FILE" }, ] /* trailing comma */ }""");
            await RunAsync(path);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static async Task RunAsync(string wranglerPath)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection([new("KvStore:CACHE_KV:Limits:ExpirationTtlMin", "00:00:01")])
            .Build();
        await using var provider = new ServiceCollection()
            .AddSingleton<IConfiguration>(configuration)
            .AddKvNamespace("CACHE_KV", kv => kv.Limits(limits => limits with { KeyBytesMax = 1000 }))
            .AddKvNamespacesFromWrangler(wranglerPath)
            .BuildServiceProvider();

        var factory = provider.GetRequiredService<IKvNamespaceFactory>();
        Check.Equal("CACHE_KV,FROM_FILE", string.Join(',', factory.Names));
        var cache = provider.GetRequiredService<IKvNamespace>();
        Check.Equal("CACHE_KV", cache.Name);
        await cache.PutAsync(new string('k', 1000), "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(1) });
        Check.Equal("v", await cache.GetTextAsync(new string('k', 1000)));

        var other = provider.GetRequiredKeyedService<IKvNamespace>("FROM_FILE");
        var file = """[{"key":"a","value":"AP8=","base64":true,"metadata":{"n":1}},{"key":"b"}]""";
        var imported = await KvBulk.ImportAsync(other, new MemoryStream(Encoding.UTF8.GetBytes(file)));
        Check.Equal(1L, imported.Imported);
        Check.Equal(1L, imported.Errors[0].Index);
        using var exported = new MemoryStream();
        Check.Equal(1L, await KvBulk.ExportAsync(other, exported));
        Check.Equal("""[{"key":"a","value":"AP8=","base64":true,"metadata":{"n":1}}]""", Encoding.UTF8.GetString(exported.ToArray()));
    }
}
