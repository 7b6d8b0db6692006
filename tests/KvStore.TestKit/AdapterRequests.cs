using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace KvStore.TestKit;

/// <summary>Records the requests to the adapters of a namespace, as the instrument <c>kvstore.adapter.requests</c> counts them.</summary>
public sealed class AdapterRequests : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentQueue<string> _lines = new();

    public AdapterRequests(string @namespace)
    {
        _listener.InstrumentPublished = static (instrument, listener) =>
        {
            if (instrument.Name == "kvstore.adapter.requests")
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((_, count, tags, _) =>
        {
            var values = tags.ToArray().ToDictionary();
            if (values["db.namespace"] as string == @namespace)
            {
                _lines.Enqueue($"{values["kvstore.adapter"]} {values["db.operation.name"]} {values["kvstore.outcome"]} {count}");
            }
        });
        _listener.Start();
    }

    /// <summary>Adapter, operation, outcome and count, in order: <c>output_cache get hit 1</c>.</summary>
    public IReadOnlyList<string> Lines => [.. _lines];

    public void Dispose() => _listener.Dispose();
}
