using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Configuration;

namespace KvStore.Tests.Configuration;

public sealed class ConfigurationMetricsTests
{
    [Fact]
    public async Task Loads_and_broken_values_are_counted()
    {
        var counted = new ConcurrentQueue<string>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = static (instrument, self) =>
        {
            if (instrument.Name == "kvstore.adapter.requests")
            {
                self.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, count, tags, _) =>
        {
            var values = tags.ToArray().ToDictionary();
            if (values["db.namespace"] as string == "COUNTED_CONFIG_KV")
            {
                counted.Enqueue($"{values["kvstore.adapter"]} {values["db.operation.name"]} {values["kvstore.outcome"]} {count}");
            }
        });
        listener.Start();
        await using var kv = KvNamespace.Create("COUNTED_CONFIG_KV");
        await kv.PutAsync("broken", "{");

        using var configuration = (ConfigurationRoot)new ConfigurationBuilder().AddKvNamespace(kv).Build();

        counted.Should().Equal("configuration load error 1", "configuration load ok 1");
    }
}
