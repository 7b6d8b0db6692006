using Microsoft.Extensions.Configuration;

namespace KvStore.Tests.Configuration;

public sealed class ConfigurationMetricsTests
{
    [Fact]
    public async Task Loads_and_broken_values_are_counted()
    {
        using var counted = new AdapterRequests("COUNTED_CONFIG_KV");
        await using var kv = KvNamespace.Create("COUNTED_CONFIG_KV");
        await kv.PutAsync("broken", "{");

        using var configuration = (ConfigurationRoot)new ConfigurationBuilder().AddKvNamespace(kv).Build();

        counted.Lines.Should().Equal("configuration load error 1", "configuration load ok 1");
    }
}
