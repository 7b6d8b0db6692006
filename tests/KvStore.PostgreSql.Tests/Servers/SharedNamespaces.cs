namespace KvStore.PostgreSql.Tests.Servers;

/// <summary>Several namespaces that stand for several processes: each has connections, a feed and memory of its own.</summary>
internal sealed class SharedNamespaces : IAsyncDisposable
{
    private readonly List<KvNamespace> _all = [];

    private SharedNamespaces(string database) => Database = database;

    public string Database { get; }

    public KvNamespace this[int number] => _all[number];

    public int Count => _all.Count;

    /// <summary>Opens namespaces in a database of their own.</summary>
    public static async Task<SharedNamespaces> OpenAsync(
        int count, KvPostgreSqlOptions? options = null, PostgreSqlVersion version = PostgreSqlVersion.Packaged)
    {
        var shared = new SharedNamespaces(await (await PostgreSqlServer.SharedOf(version)).CreateDatabaseAsync());
        for (var i = 0; i < count; i++)
        {
            await shared.AddAsync(options);
        }

        return shared;
    }

    public async Task<KvNamespace> AddAsync(KvPostgreSqlOptions? options = null)
    {
        var kv = await KvPostgreSql.OpenAsync("SHARED", Database, options);
        _all.Add(kv);
        return kv;
    }

    /// <summary>The entries of a namespace.</summary>
    public static async Task<SortedDictionary<string, string>> StateOf(KvNamespace kv)
    {
        var state = new SortedDictionary<string, string>(StringComparer.Ordinal);
        await foreach (var entry in kv.ScanAsync())
        {
            state[entry.Key] = $"{entry.Value.Revision} {entry.Value.GetText()} {entry.Value.Metadata}";
        }

        return state;
    }

    /// <summary>Waits until all namespaces have the same entries with the same revisions.</summary>
    public async Task ShouldConvergeAsync()
    {
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var first = await StateOf(_all[0]);
            var differ = false;
            foreach (var other in _all.Skip(1))
            {
                differ |= !first.SequenceEqual(await StateOf(other));
            }

            if (!differ)
            {
                return;
            }

            if (TimeProvider.System.GetElapsedTime(began) > TimeSpan.FromSeconds(60))
            {
                foreach (var other in _all.Skip(1))
                {
                    (await StateOf(other)).Should().Equal(first);
                }
            }

            await Task.Delay(20);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var kv in _all)
        {
            await kv.DisposeAsync();
        }
    }
}
