namespace KvStore.Tests.Replication;

/// <summary>Plays a schedule on a namespace and on the model side by side, and compares every answer.</summary>
internal sealed class SchedulePlayer : IDisposable
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));
    private readonly string[] _regions;
    private readonly IKvNamespace[] _views;
    private readonly PropagationModel _model;
    private readonly HashSet<string> _keys = [];

    public SchedulePlayer(string[] regions, IKvLagModel lag)
    {
        _regions = regions;
        Kv = KvNamespace.Create("KV", new KvNamespaceOptions
        {
            TimeProvider = _time,
            Limits = new KvLimits { ExpirationTtlMin = TimeSpan.FromSeconds(1) },
            Replication = new KvReplicationOptions { Regions = regions, Lag = lag },
        });
        _views = [.. regions.Select(Kv.InRegion)];
        _model = new PropagationModel(regions.Length, (from, to, mutation) => lag.GetLag(regions[from], regions[to], mutation).Ticks);
    }

    public KvNamespace Kv { get; }

    /// <summary>Called with the result of each read: the region, the key, the value.</summary>
    public Action<int, string, string?>? OnRead { get; init; }

    private long NowTicks => _time.GetUtcNow().UtcTicks;

    // Unix time, as deadlines are.
    private long ModelTicks => NowTicks - DateTimeOffset.UnixEpoch.UtcTicks;

    public void Dispose() => Kv.Dispose();

    public void Apply(ScheduledOperation operation)
    {
        switch (operation)
        {
            case ScheduledOperation.Put put:
                _keys.Add(put.Key);
                var options = put.TtlSeconds is { } ttl ? new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(ttl) } : null;
                Done(_views[put.Region].PutAsync(put.Key, put.Value, options));
                _model.Put(put.Region, put.Key, put.Value, put.TtlSeconds, ModelTicks);
                Read(put.Region, put.Key).Should().Be(put.Value, "own writes are visible at once");
                break;
            case ScheduledOperation.Delete delete:
                _keys.Add(delete.Key);
                Done(_views[delete.Region].DeleteAsync(delete.Key));
                _model.Put(delete.Region, delete.Key, value: null, ttlSeconds: null, ModelTicks);
                Read(delete.Region, delete.Key).Should().BeNull("own deletes are visible at once");
                break;
            case ScheduledOperation.Get get:
                Read(get.Region, get.Key).Should().Be(_model.See(get.Region, get.Key, ModelTicks), "of {0}", get);
                break;
            case ScheduledOperation.List list:
                List(list.Region, list.Limit).Should().Equal(_model.List(list.Region, ModelTicks), "of {0}", list);
                break;
            case ScheduledOperation.Advance advance:
                _time.Advance(TimeSpan.FromMilliseconds(advance.Milliseconds));
                break;
            case ScheduledOperation.Partition cut:
                Kv.Replication!.Partition(_regions[cut.Region]);
                _model.SetCutOff(cut.Region, isCutOff: true, ModelTicks);
                break;
            case ScheduledOperation.Heal heal:
                Kv.Replication!.Heal(_regions[heal.Region]);
                _model.SetCutOff(heal.Region, isCutOff: false, ModelTicks);
                break;
            case ScheduledOperation.Skew skew:
                Kv.Replication!.SetClockSkew(_regions[skew.Region], TimeSpan.FromSeconds(skew.Seconds));
                _model.Skew(skew.Region, skew.Seconds * TimeSpan.TicksPerSecond);
                break;
            case ScheduledOperation.Pause:
                Kv.Replication!.Pause();
                _model.Pause(ModelTicks);
                break;
            case ScheduledOperation.Resume:
                Kv.Replication!.Resume();
                _model.Resume(ModelTicks);
                break;
            case ScheduledOperation.Step when _model.IsPaused:
                var stepped = Kv.Replication!.Step();
                (stepped is null ? ((string, int)?)null : (stepped.Key, Array.IndexOf(_regions, stepped.To))).Should().Be(_model.Step());
                break;
        }
    }

    /// <summary>Lets everything arrive, and finds all regions agreeing.</summary>
    public void Quiesce()
    {
        Compare();
        Apply(new ScheduledOperation.Resume());
        for (var region = 0; region < _regions.Length; region++)
        {
            Apply(new ScheduledOperation.Heal(region));
        }

        var converged = Kv.Replication!.WaitForConvergenceAsync();
        _time.Advance(TimeSpan.FromSeconds(17));
        converged.IsCompletedSuccessfully.Should().BeTrue();
        Kv.Replication.IsConverged.Should().BeTrue();
        Kv.Replication.PendingKeyCount.Should().Be(0, "nothing is kept of what was in flight");
        Compare();
        foreach (var key in _keys)
        {
            Enumerable.Range(0, _regions.Length).Select(region => Read(region, key)).Distinct().Should().ContainSingle("all agree on {0}", key);
        }
    }

    private void Compare()
    {
        for (var region = 0; region < _regions.Length; region++)
        {
            foreach (var key in _keys)
            {
                Read(region, key).Should().Be(_model.See(region, key, ModelTicks), "of {0} in {1}", key, _regions[region]);
            }

            List(region, limit: 3).Should().Equal(_keys.Where(key => Read(region, key) is not null).Order(StringComparer.Ordinal));
        }

        Kv.Replication!.PendingCount.Should().Be(_model.PendingCount);
    }

    private string? Read(int region, string key)
    {
        var value = Done(_views[region].GetAsync(key)).GetText();
        OnRead?.Invoke(region, key, value);
        return value;
    }

    private List<string> List(int region, int limit)
    {
        var names = new List<string>();
        string? cursor = null;
        do
        {
            var page = Done(_views[region].ListAsync(new KvListOptions { Limit = limit, Cursor = cursor }));
            names.AddRange(page.Keys.Select(key => key.Name));
            cursor = page.Cursor;
        }
        while (cursor is not null);
        return names;
    }

    private static T Done<T>(ValueTask<T> task)
    {
        task.IsCompletedSuccessfully.Should().BeTrue();
        return task.Result;
    }

    private static void Done(ValueTask task) => task.IsCompletedSuccessfully.Should().BeTrue();
}
