namespace KvStore.Benchmarks.Peers;

/// <summary>A namespace in memory, read in each of the ways that its API offers.</summary>
internal sealed class KvStorePeer : Peer
{
    private readonly KvNamespace _local;
    private readonly IKvNamespace _kv;

    public KvStorePeer()
    {
        _local = KvNamespace.Create("BENCH_KV");
        _kv = _local;
    }

    public override string Name => "KvStore";

    public IKvNamespace Namespace => _kv;

    public override int GetAll(ReadOnlySpan<string> keys)
    {
        var local = _local;
        var found = 0;
        foreach (var key in keys)
        {
            if (local.TryGet(key, out _))
            {
                found++;
            }
        }

        return found;
    }

    public override int GetAndReadAll(ReadOnlySpan<string> keys)
    {
        var local = _local;
        var sum = 0;
        foreach (var key in keys)
        {
            if (local.TryGet(key, out var value))
            {
                sum += value.GetBytes().Span[0];
            }
        }

        return sum;
    }

    /// <summary>By keys that are UTF-8 already.</summary>
    public int GetUtf8All(ReadOnlySpan<byte[]> keys)
    {
        var local = _local;
        var found = 0;
        foreach (var key in keys)
        {
            if (local.TryGet(key, out _))
            {
                found++;
            }
        }

        return found;
    }

    /// <summary>Through the interface, each with an await.</summary>
    public int GetBytesAll(ReadOnlySpan<string> keys)
    {
        var kv = _kv;
        var sum = 0;
        foreach (var key in keys)
        {
            var bytes = Now(kv.GetBytesAsync(key));
            sum += bytes is { } found ? found.Length : 0;
        }

        return sum;
    }

    /// <summary>The whole entry through the interface.</summary>
    public int GetEntryAll(ReadOnlySpan<string> keys)
    {
        var kv = _kv;
        var sum = 0;
        foreach (var key in keys)
        {
            sum += Now(kv.GetAsync(key)).Length;
        }

        return sum;
    }

    public int GetTextAll(ReadOnlySpan<string> keys)
    {
        var kv = _kv;
        var sum = 0;
        foreach (var key in keys)
        {
            sum += Now(kv.GetTextAsync(key))?.Length ?? 0;
        }

        return sum;
    }

    /// <summary>The keys of each group in one call.</summary>
    public int GetManyAll(ReadOnlySpan<string[]> groups)
    {
        var kv = _kv;
        var sum = 0;
        foreach (var group in groups)
        {
            sum += Now(kv.GetManyAsync(group)).Count;
        }

        return sum;
    }

    public int ListAll(ReadOnlySpan<KvListOptions> pages)
    {
        var kv = _kv;
        var names = 0;
        foreach (var options in pages)
        {
            names += Now(kv.ListAsync(options)).Keys.Count;
        }

        return names;
    }

    public override void PutAll(ReadOnlySpan<string> keys, byte[] value)
    {
        var kv = _kv;
        foreach (var key in keys)
        {
            Now(kv.PutAsync(key, value));
        }
    }

    public override void Fill(int from, int to)
    {
        var kv = _kv;
        for (var i = from; i < to; i++)
        {
            Now(kv.PutAsync(Workload.Key(i), Workload.Value(i)));
        }
    }

    public override void Dispose()
    {
        _local.DisposeAsync().AsTask().GetAwaiter().GetResult();
        base.Dispose();
    }

    // What an await does on the path that completes at once; the loops cannot be async, since they run over spans. A store
    // in memory has nothing to wait for, and a benchmark that waited would measure something else.
    private static T Now<T>(in ValueTask<T> task) =>
        task.IsCompletedSuccessfully ? task.Result : throw new InvalidOperationException("The operation had to wait.");

    private static void Now(in ValueTask task)
    {
        if (!task.IsCompletedSuccessfully)
        {
            throw new InvalidOperationException("The operation had to wait.");
        }

        task.GetAwaiter().GetResult();
    }
}
