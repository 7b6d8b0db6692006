namespace KvStore.Comparisons.Peers;

/// <summary>A namespace in memory, or a region's view of it, read in each of the ways that its API offers.</summary>
internal sealed class KvStorePeer : Peer, ITimedPeer
{
    private readonly KvNamespace _local;
    private readonly IKvNamespace _kv;

    // Options for each number of seconds, created in advance, as a program with short times to live would do.
    private static readonly KvPutOptions[] s_shortLived =
        [.. Enumerable.Range(0, 60).Select(seconds => new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(Math.Max(1, seconds)) })];

    private readonly ScratchDirectory? _directory;

    public KvStorePeer()
        : this(durability: null, replication: null)
    {
    }

    /// <summary>A namespace with a budget for its memory.</summary>
    public KvStorePeer(KvMemoryOptions memory)
        : this(durability: null, replication: null, memory)
    {
    }

    /// <summary>A namespace that has regions.</summary>
    public KvStorePeer(KvReplicationOptions replication)
        : this(durability: null, replication)
    {
    }

    /// <summary>A namespace that is logged to files as well.</summary>
    public KvStorePeer(Durability durability)
        : this(durability, replication: null)
    {
    }

    private KvStorePeer(Durability? durability, KvReplicationOptions? replication, KvMemoryOptions? memory = null)
    {
        var limits = new KvLimits { ExpirationTtlMin = TimeSpan.FromSeconds(1) };
        if (durability is { } asked)
        {
            _directory = new ScratchDirectory();
            var persistence = new FilePersistence(_directory.Path, new FilePersistenceOptions { Durability = asked });
            _local = Now(KvNamespace.OpenAsync("BENCH_KV", new KvNamespaceOptions { Limits = limits, Persistence = persistence }));
        }
        else
        {
            _local = KvNamespace.Create("BENCH_KV", new KvNamespaceOptions { Limits = limits, Replication = replication, Memory = memory });
        }

        _kv = _local;
    }

    private KvStorePeer(KvNamespace local, string region)
    {
        _local = local;
        _kv = local.InRegion(region);
    }

    public override string Name => "KvStore";

    public IKvNamespace Namespace => _kv;

    public bool ExpiresByItself => true;

    /// <summary>A region's view of the namespace. It ends with this peer.</summary>
    public KvStorePeer InRegion(string region) => new(_local, region);

    /// <summary>Whether it has regions.</summary>
    public bool IsReplicated => _local.Replication is not null;

    /// <summary>The number of pending deliveries between its regions.</summary>
    public KvReplication Replication => _local.Replication!;

    public override int GetAll(ArraySegment<string> keys)
    {
        var local = _local;
        var found = 0;
        foreach (var key in keys.AsSpan())
        {
            if (local.TryGet(key, out _))
            {
                found++;
            }
        }

        return found;
    }

    public override int GetAndReadAll(ArraySegment<string> keys)
    {
        var local = _local;
        var sum = 0;
        foreach (var key in keys.AsSpan())
        {
            if (local.TryGet(key, out var value))
            {
                sum += value.GetBytes().Span[0];
            }
        }

        return sum;
    }

    /// <summary>Reads all keys, and creates a string for each value.</summary>
    public int DecodeAll(ArraySegment<string> keys)
    {
        var local = _local;
        var sum = 0;
        foreach (var key in keys.AsSpan())
        {
            if (local.TryGet(key, out var value))
            {
                sum += value.GetText()!.Length;
            }
        }

        return sum;
    }

    /// <summary>By keys that are UTF-8 already.</summary>
    public int GetUtf8All(ArraySegment<byte[]> keys)
    {
        var local = _local;
        var found = 0;
        foreach (var key in keys.AsSpan())
        {
            if (local.TryGet(key, out _))
            {
                found++;
            }
        }

        return found;
    }

    /// <summary>The bytes of each value, through the interface.</summary>
    public int GetBytesAll(ArraySegment<string> keys) => Now(GetBytesAllAsync(_kv, keys));

    /// <summary>The whole entries, through the interface.</summary>
    public int GetEntryAll(ArraySegment<string> keys) => Now(GetEntryAllAsync(_kv, keys));

    /// <summary>The values as text, through the interface.</summary>
    public int GetTextAll(ArraySegment<string> keys) => Now(GetTextAllAsync(_kv, keys));

    /// <summary>The values as an immutable type, through the interface.</summary>
    public int GetJsonAll(ArraySegment<string> keys) => Now(GetJsonAllAsync(_kv, keys));

    /// <summary>Puts the entries <paramref name="from"/> to <paramref name="to"/> - 1 as small JSON documents.</summary>
    public void FillJson(int from, int to)
    {
        for (var i = from; i < to; i++)
        {
            Now(_local.PutJsonAsync(Workload.Key(i), new Document($"user {i}", i, IsActive: true), DocumentContext.Default.Document));
        }
    }

    /// <summary>The values with their metadata, through the interface.</summary>
    public int GetMetadataAll(ArraySegment<string> keys) => Now(GetMetadataAllAsync(_kv, keys));

    /// <summary>Puts the entries <paramref name="from"/> to <paramref name="to"/> - 1 with metadata.</summary>
    public void FillWithMetadata(int from, int to)
    {
        var options = new KvPutOptions { Metadata = KvMetadata.FromJson("""{"by":"ada"}""") };
        for (var i = from; i < to; i++)
        {
            Now(_local.PutAsync(Workload.Key(i), Workload.Value(i), options));
        }
    }

    /// <summary>Puts a value under all keys, with options.</summary>
    public void PutAll(string[] keys, byte[] value, KvPutOptions options)
    {
        foreach (var key in keys)
        {
            Now(_local.PutAsync(key, value, options));
        }
    }

    /// <summary>The keys of each group in one call.</summary>
    public int GetManyAll(ArraySegment<string[]> groups) => Now(GetManyAllAsync(_kv, groups));

    public int ListAll(ArraySegment<KvListOptions> pages) => Now(ListAllAsync(_kv, pages));

    /// <summary>The entries of each group in one call.</summary>
    public void PutManyAll(ArraySegment<KvEntry[]> groups) => Now(PutManyAllAsync(_local, groups));

    /// <summary>All entries that begin with each prefix, and the first bytes of their values: scanned.</summary>
    public int ScanAll(ArraySegment<string> prefixes) => Now(ScanAllAsync(_local, prefixes));

    /// <summary>The same, and the key of each entry as a string.</summary>
    public int ScanWithKeysAll(ArraySegment<string> prefixes) => Now(ScanWithKeysAllAsync(_local, prefixes));

    /// <summary>The same by pages of a list, and a get for each key.</summary>
    public int ListAndGetAll(ArraySegment<string> prefixes) => Now(ListAndGetAllAsync(_local, prefixes));

    /// <summary>All entries that begin with each prefix, and their values as text: scanned.</summary>
    public int ScanTextAll(ArraySegment<string> prefixes) => Now(ScanTextAllAsync(_local, prefixes));

    /// <summary>The same by a list of all keys, and a get for each.</summary>
    public int ListAndGetTextAll(ArraySegment<string> prefixes) => Now(ListAndGetTextAllAsync(_local, prefixes));

    public override void PutAll(ArraySegment<string> keys, byte[] value) => Now(PutAllAsync(_kv, keys, value));

    public bool Read(string key) => _local.TryGet(key, out var value) && value.GetBytes().Span[0] != 0;

    public void Write(string key, byte[] scratch, int ttlSeconds) =>
        Now(_local.PutAsync(key, scratch, ttlSeconds == 0 ? null : s_shortLived[ttlSeconds]));

    public override void Remove(string key) => Now(_local.DeleteAsync(key));

    public override void Fill(int from, int to) => Now(FillAsync(_kv, from, to));

    public override void Dispose()
    {
        _local.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _directory?.Dispose();
        base.Dispose();
    }

    // Each operation is awaited, as in a program, because the compiled await is a part of the cost of a get. The loops are static and
    // use an index, so that their state is small.
    private static async ValueTask<int> GetBytesAllAsync(IKvNamespace kv, ArraySegment<string> keys)
    {
        var sum = 0;
        var (array, end) = (keys.Array!, keys.Offset + keys.Count);
        for (var i = keys.Offset; i < end; i++)
        {
            var bytes = await kv.GetBytesAsync(array[i]).ConfigureAwait(false);
            sum += bytes.GetValueOrDefault().Length;
        }

        return sum;
    }

    private static async ValueTask<int> GetEntryAllAsync(IKvNamespace kv, ArraySegment<string> keys)
    {
        var sum = 0;
        var (array, end) = (keys.Array!, keys.Offset + keys.Count);
        for (var i = keys.Offset; i < end; i++)
        {
            var entry = await kv.GetAsync(array[i]).ConfigureAwait(false);
            sum += entry.Length;
        }

        return sum;
    }

    private static async ValueTask<int> GetTextAllAsync(IKvNamespace kv, ArraySegment<string> keys)
    {
        var sum = 0;
        var (array, end) = (keys.Array!, keys.Offset + keys.Count);
        for (var i = keys.Offset; i < end; i++)
        {
            var text = await kv.GetTextAsync(array[i]).ConfigureAwait(false);
            sum += text?.Length ?? 0;
        }

        return sum;
    }

    private static async ValueTask<int> GetJsonAllAsync(IKvNamespace kv, ArraySegment<string> keys)
    {
        var sum = 0;
        var (array, end) = (keys.Array!, keys.Offset + keys.Count);
        for (var i = keys.Offset; i < end; i++)
        {
            var document = await kv.GetJsonAsync(array[i], DocumentContext.Default.Document).ConfigureAwait(false);
            sum += document!.Age;
        }

        return sum;
    }

    private static async ValueTask<int> GetMetadataAllAsync(IKvNamespace kv, ArraySegment<string> keys)
    {
        var sum = 0;
        var (array, end) = (keys.Array!, keys.Offset + keys.Count);
        for (var i = keys.Offset; i < end; i++)
        {
            var entry = await kv.GetAsync(array[i]).ConfigureAwait(false);
            sum += entry.Length + (entry.Metadata.IsNull ? 0 : 1);
        }

        return sum;
    }

    private static async ValueTask<int> GetManyAllAsync(IKvNamespace kv, ArraySegment<string[]> groups)
    {
        var sum = 0;
        foreach (var group in groups)
        {
            var entries = await kv.GetManyAsync(group).ConfigureAwait(false);
            sum += entries.Count;
        }

        return sum;
    }

    private static async ValueTask<int> ListAllAsync(IKvNamespace kv, ArraySegment<KvListOptions> pages)
    {
        var names = 0;
        foreach (var options in pages)
        {
            var page = await kv.ListAsync(options).ConfigureAwait(false);
            names += page.Keys.Count;
        }

        return names;
    }

    private static async ValueTask PutManyAllAsync(KvNamespace kv, ArraySegment<KvEntry[]> groups)
    {
        foreach (var group in groups)
        {
            await kv.PutManyAsync(group).ConfigureAwait(false);
        }
    }

    private static async ValueTask<int> ScanAllAsync(KvNamespace kv, ArraySegment<string> prefixes)
    {
        var sum = 0;
        foreach (var prefix in prefixes)
        {
            await foreach (var entry in kv.ScanAsync(prefix).ConfigureAwait(false))
            {
                sum += entry.Value.GetBytes().Span[0];
            }
        }

        return sum;
    }

    private static async ValueTask<int> ScanWithKeysAllAsync(KvNamespace kv, ArraySegment<string> prefixes)
    {
        var sum = 0;
        foreach (var prefix in prefixes)
        {
            await foreach (var (key, value) in kv.ScanAsync(prefix).ConfigureAwait(false))
            {
                sum += key.Length + value.GetBytes().Span[0];
            }
        }

        return sum;
    }

    private static async ValueTask<int> ListAndGetAllAsync(KvNamespace kv, ArraySegment<string> prefixes)
    {
        var sum = 0;
        foreach (var prefix in prefixes)
        {
            string? cursor = null;
            do
            {
                var page = await kv.ListAsync(new KvListOptions { Prefix = prefix, Cursor = cursor }).ConfigureAwait(false);
                foreach (var key in page.Keys)
                {
                    var entry = await kv.GetAsync(key.Name).ConfigureAwait(false);
                    sum += entry.GetBytes().Span[0];
                }

                cursor = page.Cursor;
            }
            while (cursor is not null);
        }

        return sum;
    }

    private static async ValueTask<int> ScanTextAllAsync(KvNamespace kv, ArraySegment<string> prefixes)
    {
        var sum = 0;
        foreach (var prefix in prefixes)
        {
            await foreach (var entry in kv.ScanAsync(prefix).ConfigureAwait(false))
            {
                sum += entry.Value.GetText()!.Length;
            }
        }

        return sum;
    }

    private static async ValueTask<int> ListAndGetTextAllAsync(KvNamespace kv, ArraySegment<string> prefixes)
    {
        var sum = 0;
        foreach (var prefix in prefixes)
        {
            await foreach (var key in kv.ListAllAsync(prefix).ConfigureAwait(false))
            {
                var text = await kv.GetTextAsync(key.Name).ConfigureAwait(false);
                sum += text!.Length;
            }
        }

        return sum;
    }

    private static async ValueTask PutAllAsync(IKvNamespace kv, ArraySegment<string> keys, byte[] value)
    {
        var (array, end) = (keys.Array!, keys.Offset + keys.Count);
        for (var i = keys.Offset; i < end; i++)
        {
            await kv.PutAsync(array[i], value).ConfigureAwait(false);
        }
    }

    private static async ValueTask FillAsync(IKvNamespace kv, int from, int to)
    {
        for (var i = from; i < to; i++)
        {
            await kv.PutAsync(Workload.Key(i), Workload.Value(i)).ConfigureAwait(false);
        }
    }

    // Once for a run of keys. In memory there is nothing to wait for, but there may be exceptions.
    private static T Now<T>(ValueTask<T> task) =>
        task.IsCompletedSuccessfully ? task.Result : task.AsTask().GetAwaiter().GetResult();

    private static void Now(ValueTask task)
    {
        if (!task.IsCompletedSuccessfully)
        {
            task.AsTask().GetAwaiter().GetResult();
        }
    }
}
