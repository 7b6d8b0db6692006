using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace KvStore.Tests.Diagnostics;

/// <summary>What listeners receive. Each test has a namespace with its own name, because a listener receives the metrics of all
/// namespaces.</summary>
[Collection(nameof(DiagnosticsTests))]
public sealed class DiagnosticsTests : IDisposable
{
    private readonly string _name = $"KV_{Guid.NewGuid():N}";
    private readonly FakeTimeProvider _time = new();
    private readonly KvNamespace _kv;

    public DiagnosticsTests() => _kv = KvNamespace.Create(_name, new KvNamespaceOptions { TimeProvider = _time });

    public void Dispose() => _kv.Dispose();

    [Fact]
    public async Task Every_operation_is_counted_by_name_and_outcome()
    {
        using var heard = new Heard(_name);

        await _kv.PutAsync("secret-key", "v");
        await _kv.GetAsync("secret-key");
        await _kv.GetTextAsync("secret-key");
        await _kv.GetAsync("secret-missing");
        _kv.TryGet("secret-key", out _);
        await _kv.GetManyAsync(["secret-key"]);
        await _kv.ListAsync();
        await _kv.DeleteAsync("secret-key");
        var bad = () => _kv.PutAsync("secret-key", "v", new KvPutOptions { ExpirationTtl = TimeSpan.Zero }).AsTask();
        await bad.Should().ThrowAsync<KvException>();

        heard.Requests.Should().Equal(
            "put ok", "get hit", "get hit", "get miss", "get hit", "get_many ok", "list ok", "delete ok", "put error 400");
        heard.AllTags.Should().NotContain(tag => tag.Contains("secret"), "keys never become tags");
    }

    [Fact]
    public async Task Durations_are_seconds_of_the_clock_of_the_namespace()
    {
        using var heard = new Heard(_name);
        using var slow = new SlowStream(() => _time.Advance(TimeSpan.FromSeconds(3)));

        await _kv.PutAsync("k", slow);

        heard.Durations.Should().Equal(3);
    }

    [Fact]
    public async Task Gauges_measure_a_namespace_until_it_is_disposed()
    {
        using var heard = new Heard(_name);
        await _kv.PutAsync("a", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(1) });
        await _kv.PutAsync("b", "v");
        _time.Advance(TimeSpan.FromMinutes(2));

        heard.Gauges().Should().Contain("kvstore.entries", 1).And.Contain("kvstore.expired", 1).And.ContainKey("kvstore.memory");

        _kv.Dispose();
        heard.Gauges().Should().BeEmpty();
    }

    [Fact]
    public async Task Conditional_writes_are_counted_by_outcome()
    {
        using var heard = new Heard(_name);
        await _kv.TryPutAsync("a", "v", KvCondition.Absent);
        await _kv.TryPutAsync("a", "v", KvCondition.Absent);
        await _kv.TryPutAsync("a", new MemoryStream([1]), KvCondition.Absent);
        await _kv.TryDeleteAsync("a", KvCondition.Absent);
        await _kv.TryDeleteAsync("a", KvCondition.Present);
        await _kv.TryDeleteAsync("a", KvCondition.Absent);

        heard.Requests.Should().Equal(
            "put ok", "put condition_failed", "put condition_failed", "delete condition_failed", "delete ok", "delete ok");
        heard.Gauges().Should().Contain("kvstore.condition_failures", 3);
    }

    [Fact]
    public async Task Watchers_and_the_changes_that_they_skip_are_counted()
    {
        using var heard = new Heard(_name);
        heard.Gauges().Should().Contain("kvstore.watchers", 0);
        await using (var changes = _kv.WatchAsync(new KvWatchOptions { Start = KvWatchStart.Current }).GetAsyncEnumerator())
        {
            (await changes.MoveNextAsync()).Should().BeTrue();
            heard.Gauges().Should().Contain("kvstore.watchers", 1);
            for (var i = 0; i < 5; i++)
            {
                await _kv.PutAsync("k", "v");
            }

            heard.Gauges().Should().Contain("kvstore.changes_skipped", 4);
        }

        heard.Gauges().Should().Contain("kvstore.watchers", 0);
    }

    [Fact]
    public async Task Failed_operation_is_an_activity_with_error_status()
    {
        var activities = new List<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == KvDiagnostics.ActivitySourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                if (activity.GetTagItem("db.namespace") as string == _name)
                {
                    activities.Add(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);

        await _kv.PutAsync("k", "v");
        var bad = () => _kv.GetAsync("").AsTask();
        await bad.Should().ThrowAsync<ArgumentException>();

        activities.Select(a => a.DisplayName).Should().Equal($"put {_name}", $"get {_name}");
        activities[0].Status.Should().Be(ActivityStatusCode.Unset);
        activities[0].GetTagItem("db.operation.name").Should().Be("put");
        activities[0].GetTagItem("db.system.name").Should().Be("kvstore");
        activities[1].Status.Should().Be(ActivityStatusCode.Error);
        activities[1].GetTagItem("error.type").Should().Be("KvStore.KvArgumentException");
    }

    [Fact]
    public async Task Sampler_sees_the_tags_and_an_activity_has_the_surrounding_one_as_parent()
    {
        var sampled = new List<string>();
        Activity? stopped = null;
        using var around = new Activity("around").Start();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == KvDiagnostics.ActivitySourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> options) =>
            {
                sampled.AddRange(options.Tags!.Select(tag => $"{tag.Key}={tag.Value}"));
                return ActivitySamplingResult.AllData;
            },
            ActivityStopped = activity => stopped = activity,
        };
        ActivitySource.AddActivityListener(listener);

        await _kv.PutAsync("secret-key", "v");

        sampled.Should().BeEquivalentTo("db.system.name=kvstore", $"db.namespace={_name}", "db.operation.name=put");
        stopped!.ParentSpanId.Should().Be(around.SpanId);
        Activity.Current.Should().Be(around);
    }

    [Fact]
    public void Histogram_boundaries_distinguish_reads_from_memory()
    {
        using var listener = new MeterListener();
        IReadOnlyList<double>? boundaries = null;
        listener.InstrumentPublished = (instrument, _) =>
            boundaries = instrument is Histogram<double> { Meter.Name: KvDiagnostics.MeterName, Name: "db.client.operation.duration" } histogram
                ? histogram.Advice?.HistogramBucketBoundaries
                : boundaries;
        listener.Start();

        boundaries.Should().BeInAscendingOrder().And.Contain(0.000001).And.Contain(10);
    }

    [Fact]
    public async Task Reads_allocate_nothing_when_nobody_listens()
    {
        await _kv.PutAsync("k", "v");
        await Read(100_000);

        var before = GC.GetAllocatedBytesForCurrentThread();
        await Read(10_000);

        (GC.GetAllocatedBytesForCurrentThread() - before).Should().BeLessThan(10_000, "not a byte a read");
    }

    private async ValueTask Read(int times)
    {
        for (var i = 0; i < times; i++)
        {
            _ = _kv.TryGet("k", out _);
            _ = await _kv.GetBytesAsync("k");
            _ = await _kv.GetTextAsync("k");
        }
    }

    private sealed class Heard : IDisposable
    {
        private readonly string _namespace;
        private readonly MeterListener _listener = new();
        private readonly Dictionary<string, long> _gauges = [];

        public Heard(string name)
        {
            _namespace = name;
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == KvDiagnostics.MeterName)
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            };
            _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Record(instrument, value, tags));
            _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) =>
            {
                if (IsOwn(tags))
                {
                    instrument.Unit.Should().Be("s");
                    Durations.Add(value);
                }
            });
            _listener.Start();
        }

        public List<string> Requests { get; } = [];

        public List<double> Durations { get; } = [];

        public List<string> AllTags { get; } = [];

        public Dictionary<string, long> Gauges()
        {
            _gauges.Clear();
            _listener.RecordObservableInstruments();
            return _gauges;
        }

        public void Dispose() => _listener.Dispose();

        private void Record(Instrument instrument, long value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            if (!IsOwn(tags))
            {
                return;
            }

            var byName = tags.ToArray().ToDictionary(tag => tag.Key, tag => tag.Value?.ToString());
            AllTags.AddRange(byName.Select(tag => $"{tag.Key}={tag.Value}"));
            if (instrument.Name == "kvstore.requests")
            {
                Requests.Add($"{byName["db.operation.name"]} {byName["kvstore.outcome"]} {byName.GetValueOrDefault("error.type")}".TrimEnd());
            }
            else
            {
                _gauges[instrument.Name] = value;
            }
        }

        private bool IsOwn(ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            foreach (var tag in tags)
            {
                if (tag.Key == "db.namespace" && Equals(tag.Value, _namespace))
                {
                    return true;
                }
            }

            return false;
        }
    }

    private sealed class SlowStream(Action onEnd) : MemoryStream([1, 2, 3])
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await base.ReadAsync(buffer, cancellationToken);
            if (read == 0)
            {
                onEnd();
            }

            return read;
        }
    }
}

[CollectionDefinition(nameof(DiagnosticsTests), DisableParallelization = true)]
public sealed class DiagnosticsCollection;
