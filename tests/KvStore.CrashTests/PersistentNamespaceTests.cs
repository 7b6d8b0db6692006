using System.Text;

namespace KvStore.CrashTests;

/// <summary>A namespace on a disk: what is there when it is opened again, and what can be seen meanwhile.</summary>
public sealed class PersistentNamespaceTests : IAsyncLifetime, IDisposable
{
    private readonly SimulatedDisk _disk = new();
    private readonly FakeTimeProvider _time = new();
    private readonly List<KvNamespace> _opened = [];

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        _disk.BeforeStep = null;
        foreach (var kv in _opened)
        {
            await kv.DisposeAsync();
        }
    }

    public void Dispose() => _disk.Dispose();

    private async Task<KvNamespace> OpenAsync(FilePersistenceOptions? options = null, SimulatedDisk? disk = null)
    {
        var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions
        {
            Persistence = Stores.On(disk ?? _disk, options),
            TimeProvider = _time,
            Limits = new KvLimits { ExpirationTtlMin = TimeSpan.FromSeconds(1) },
        });
        _opened.Add(kv);
        return kv;
    }

    private async Task<KvNamespace> ReopenAsync(KvNamespace kv)
    {
        await kv.DisposeAsync();
        return await OpenAsync();
    }

    [Fact]
    public async Task Values_metadata_and_expiration_are_there_when_it_is_opened_again()
    {
        var kv = await OpenAsync();
        await kv.PutAsync("text", "für später", new KvPutOptions { Metadata = KvMetadata.FromJson("{\"by\":\"ada\"}") });
        await kv.PutAsync("bytes", new byte[] { 0, 255, 0 }, new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(90) });
        await kv.PutAsync("empty", "");
        await kv.PutAsync("ключ/🔑", "v");

        kv = await ReopenAsync(kv);

        (await kv.GetTextAsync("text")).Should().Be("für später");
        (await kv.GetAsync("text")).Metadata.ToString().Should().Be("{\"by\":\"ada\"}");
        var bytes = await kv.GetAsync("bytes");
        bytes.GetBytes().ToArray().Should().Equal(0, 255, 0);
        bytes.Expiration.Should().Be(DateTimeOffset.FromUnixTimeSeconds(_time.GetUtcNow().ToUnixTimeSeconds() + 90));
        (await kv.GetTextAsync("empty")).Should().BeEmpty();
        (await kv.ListAsync()).Keys.Select(key => key.Name).Should().Equal("bytes", "empty", "text", "ключ/🔑");
    }

    [Fact]
    public async Task Failed_maintenance_names_the_operation_and_the_namespace()
    {
        var kv = await OpenAsync();
        await kv.PutAsync("k", "v");
        _disk.BeforeStep = (operation, _) =>
        {
            if (operation == "create")
            {
                throw new IOException("No space left on device");
            }
        };

        var compact = async () => await kv.CompactAsync();
        await compact.Should().ThrowAsync<KvPersistenceException>().WithMessage("COMPACT of the namespace \"KV\": *No space left on device*");
        _disk.BeforeStep = null;

        var directory = Directory.CreateTempSubdirectory("kvstore-not-empty-").FullName;
        await File.WriteAllTextAsync(Path.Combine(directory, "other"), "");
        var snapshot = async () => await kv.SnapshotAsync(directory);
        await snapshot.Should().ThrowAsync<KvPersistenceException>().WithMessage("SNAPSHOT of the namespace \"KV\": *is not empty*");
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task Deleted_overwritten_and_expired_entries_do_not_come_back()
    {
        var kv = await OpenAsync();
        await kv.PutAsync("deleted", "x");
        await kv.PutAsync("overwritten", "old");
        await kv.PutAsync("expired", "before", null);
        await kv.PutAsync("expired", "x", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(10) });
        await kv.DeleteAsync("deleted");
        await kv.PutAsync("overwritten", "new");
        await kv.DisposeAsync();
        _time.Advance(TimeSpan.FromSeconds(10));

        kv = await OpenAsync();

        (await kv.ListAsync()).Keys.Select(key => key.Name).Should().Equal("overwritten");
        (await kv.GetTextAsync("overwritten")).Should().Be("new");
        kv.Count.Should().Be(1);
    }

    [Fact]
    public async Task Last_write_of_concurrent_callers_wins_before_and_after_recovery()
    {
        var kv = await OpenAsync(Stores.Small with { LogFileBytes = 64 * 1024, CompactionBytesMin = 128 * 1024 });
        await Task.WhenAll(Enumerable.Range(0, 8).Select(caller => Task.Run(async () =>
        {
            var random = new Random(caller);
            for (var i = 0; i < 400; i++)
            {
                var key = $"key {random.Next(6)}";
                await (random.Next(4) == 0 ? kv.DeleteAsync(key) : kv.PutAsync(key, $"{caller} {i} {new string('v', random.Next(2000))}"));
            }
        })));
        var before = await StateAsync(kv);

        kv = await ReopenAsync(kv);

        (await StateAsync(kv)).Should().Equal(before);
        await kv.CompactAsync();
        kv = await ReopenAsync(kv);
        (await StateAsync(kv)).Should().Equal(before);
    }

    [Fact]
    public async Task A_put_is_not_visible_before_it_is_on_the_disk_and_neither_is_a_delete()
    {
        var kv = await OpenAsync();
        await kv.PutAsync("old", "x");
        using var atFlush = new SemaphoreSlim(0);
        using var proceed = new SemaphoreSlim(0);
        _disk.BeforeStep = (operation, _) =>
        {
            if (operation == "flush")
            {
                atFlush.Release();
                proceed.Wait();
            }
        };

        var put = kv.PutAsync("new", "x").AsTask();
        var delete = kv.DeleteAsync("old").AsTask();
        await atFlush.WaitAsync();

        put.IsCompleted.Should().BeFalse();
        delete.IsCompleted.Should().BeFalse();
        (await kv.ListAsync()).Keys.Select(key => key.Name).Should().Equal("old");
        kv.TryGet("new", out _).Should().BeFalse();
        kv.TryGet("old", out _).Should().BeTrue();

        _disk.BeforeStep = null;
        proceed.Release(100);
        await Task.WhenAll(put, delete);
        (await kv.ListAsync()).Keys.Select(key => key.Name).Should().Equal("new");
    }

    [Theory]
    [InlineData(Durability.Interval)]
    [InlineData(Durability.Buffered)]
    public async Task In_the_relaxed_modes_a_put_is_visible_at_once_and_closing_keeps_it(Durability durability)
    {
        var kv = await OpenAsync(Stores.Small with { Durability = durability });

        var put = kv.PutAsync("k", "v").AsTask();
        put.IsCompletedSuccessfully.Should().BeTrue();
        kv.TryGet("k", out _).Should().BeTrue();
        var delete = kv.DeleteAsync("k").AsTask();
        delete.IsCompletedSuccessfully.Should().BeTrue();
        kv.TryGet("k", out _).Should().BeFalse();
        await kv.PutAsync("k", "last");

        (await (await ReopenAsync(kv)).GetTextAsync("k")).Should().Be("last");
    }

    [Fact]
    public async Task A_flush_puts_on_the_disk_what_a_relaxed_mode_has_gathered()
    {
        var kv = await OpenAsync(Stores.Small with { Durability = Durability.Buffered });
        await kv.PutAsync("k", "v");
        (await Stores.StateOfAsync(_disk)).Should().BeEmpty("otherwise the flush has nothing to do");

        await kv.FlushAsync();

        (await Stores.StateOfAsync(_disk.Restart(seed: 0))).Should().ContainKey("k", "the power was cut, and nothing kept that was not flushed");
        _opened.Clear();
        await ((Func<Task>)(() => kv.DisposeAsync().AsTask())).Should().ThrowAsync<KvPersistenceException>("the disk is off");
    }

    [Fact]
    public async Task When_the_disk_fails_reads_go_on_writes_are_refused_and_the_health_says_why()
    {
        var kv = await OpenAsync();
        await kv.PutAsync("before", "x");
        kv.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
        _disk.BeforeStep = (_, _) => throw new IOException("Input/output error");

        var put = () => kv.PutAsync("failed", "x").AsTask();
        (await put.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*Input/output error*");
        _disk.BeforeStep = null;

        kv.Health.Status.Should().Be(KvPersistenceStatus.Failed);
        kv.Health.Reason.Should().Contain("Input/output error");
        (await kv.GetTextAsync("before")).Should().Be("x");
        kv.TryGet("failed", out _).Should().BeFalse();
        (await put.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*Open the namespace again*");
        (await ((Func<Task>)(() => kv.DeleteAsync("before").AsTask())).Should().ThrowAsync<KvPersistenceException>()).Which.Should().NotBeNull();
        (await kv.GetTextAsync("before")).Should().Be("x", "a delete that failed changes nothing");

        kv = await ReopenAsync(kv);
        kv.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
        await kv.PutAsync("again", "x");
        (await StateAsync(kv)).Keys.Should().Equal("again", "before");
    }

    [Fact]
    public async Task An_import_shares_flushes_and_puts_in_the_order_of_the_file()
    {
        var kv = await OpenAsync(Stores.Small with { LogFileBytes = 1024 * 1024 });
        var counting = new CountingNamespace(kv);
        var isShared = false;
        _disk.BeforeStep = (operation, _) =>
        {
            // The first put is held before the disk. A caller that waits for it begins no other put.
            if (operation == "flush" && counting.Begun > 0 && !isShared)
            {
                isShared = SpinWait.SpinUntil(() => counting.Begun >= 100, TimeSpan.FromSeconds(30));
            }
        };
        var json = string.Join(",", Enumerable.Range(0, 2000).Select(i => $"{{\"key\":\"key {i % 500}\",\"value\":\"{i}\"}}"));
        using var file = new MemoryStream(Encoding.UTF8.GetBytes($"[{json},{{\"key\":\"\",\"value\":\"x\"}}]"));

        var result = await KvBulk.ImportAsync(counting, file);

        result.Imported.Should().Be(2000);
        result.Errors.Should().ContainSingle().Which.Index.Should().Be(2000);
        isShared.Should().BeTrue("many wait for the disk together");
        for (var i = 1500; i < 2000; i++)
        {
            (await kv.GetTextAsync($"key {i % 500}")).Should().Be($"{i}", "the last one of a key wins");
        }
    }

    [Fact]
    public async Task An_import_onto_a_disk_that_fails_says_so_when_nothing_is_on_its_way_any_more()
    {
        var kv = await OpenAsync();
        var writes = 0;
        _disk.BeforeStep = (operation, _) =>
        {
            if (operation == "write" && Interlocked.Increment(ref writes) > 3)
            {
                throw new IOException("No space left on device");
            }
        };
        var json = string.Join(",", Enumerable.Range(0, 2000).Select(i => $"{{\"key\":\"key {i:D4}\",\"value\":\"{new string('v', 100)}\"}}"));
        using var file = new MemoryStream(Encoding.UTF8.GetBytes($"[{json}]"));

        var import = () => KvBulk.ImportAsync(kv, file).AsTask();

        (await import.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*No space left*");
        _disk.BeforeStep = null;
        var seen = (await StateAsync(kv)).Keys;
        var recovered = (await StateAsync(await ReopenAsync(kv))).Keys;
        seen.Except(recovered).Should().BeEmpty();
        recovered.Should().Equal(Enumerable.Range(0, recovered.Count).Select(i => $"key {i:D4}"));
    }

    [Fact]
    public async Task A_copy_of_a_live_namespace_is_a_state_that_it_had_and_opens_as_it_is()
    {
        var copy = new SimulatedDisk();
        var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions
        {
            Persistence = new FilePersistence("disk", Stores.Small, path => path == "disk" ? _disk : copy),
            TimeProvider = _time,
        });
        _opened.Add(kv);
        await kv.PutAsync("large", new string('L', 5000));
        var writing = Task.Run(async () =>
        {
            for (var i = 0; i < 2000; i++)
            {
                await kv.PutAsync("first", $"{i}");
                await kv.PutAsync("second", $"{i}");
            }
        });

        await kv.SnapshotAsync("copy");
        await writing;

        var copied = await OpenAsync(disk: copy);
        (await copied.GetTextAsync("large")).Should().Be(new string('L', 5000));
        var first = int.Parse(await copied.GetTextAsync("first") ?? "0");
        var second = int.Parse(await copied.GetTextAsync("second") ?? "0");
        (first - second).Should().BeInRange(0, 1, "one is always written before the other");
    }

    [Fact]
    public async Task Namespace_in_memory_refuses_a_snapshot_and_flush_and_compaction_do_nothing()
    {
        await using var kv = KvNamespace.Create("KV");

        await kv.FlushAsync();
        await kv.CompactAsync();
        kv.Health.Should().Be(KvPersistenceHealth.Healthy);
        var copy = () => kv.SnapshotAsync("somewhere").AsTask();
        (await copy.Should().ThrowAsync<InvalidOperationException>()).WithMessage("*\"KV\"*memory*");
    }

    [Fact]
    public void A_namespace_that_persists_is_opened_and_not_created()
    {
        var create = () => KvNamespace.Create("KV", new KvNamespaceOptions { Persistence = Stores.On(_disk) });

        create.Should().Throw<ArgumentException>().WithMessage("*OpenAsync*");
    }

    [Fact]
    public async Task Closed_namespace_refuses_everything_and_may_be_closed_twice()
    {
        var kv = await OpenAsync();
        await kv.DisposeAsync();
        await kv.DisposeAsync();
        kv.Dispose();

        foreach (var use in new Func<Task>[]
        {
            () => kv.PutAsync("k", "v").AsTask(),
            () => kv.DeleteAsync("k").AsTask(),
            () => kv.GetAsync("k").AsTask(),
            () => kv.FlushAsync().AsTask(),
            () => kv.CompactAsync().AsTask(),
            () => kv.SnapshotAsync("copy").AsTask(),
        })
        {
            await use.Should().ThrowAsync<ObjectDisposedException>();
        }
    }

    [Fact]
    public async Task Namespace_closed_while_callers_write_keeps_every_acknowledged_write()
    {
        for (var round = 0; round < 20; round++)
        {
            var disk = new SimulatedDisk();
            var kv = await OpenAsync(Stores.Small with { Durability = round % 2 == 0 ? Durability.Immediate : Durability.Buffered }, disk);
            var acknowledged = new int[4];
            var callers = Enumerable.Range(0, 4).Select(caller => Task.Run(async () =>
            {
                try
                {
                    for (var i = 1; ; i++)
                    {
                        await kv.PutAsync($"caller {caller}", $"{i}");
                        acknowledged[caller] = i;
                    }
                }
                catch (Exception e) when (e is ObjectDisposedException or KvPersistenceException)
                {
                    // It was closed.
                }
            })).ToArray();
            SpinWait.SpinUntil(() => acknowledged.All(count => count > 3));

            await kv.DisposeAsync();
            await Task.WhenAll(callers);

            var after = await OpenAsync(disk: disk);
            for (var caller = 0; caller < 4; caller++)
            {
                int.Parse((await after.GetTextAsync($"caller {caller}"))!).Should().BeInRange(acknowledged[caller], acknowledged[caller] + 1);
            }
        }
    }

    /// <summary>Counts the puts that were begun.</summary>
    private sealed class CountingNamespace(IKvNamespace inner) : IKvNamespace
    {
        private int _begun;

        public string Name => inner.Name;

        public int Begun => Volatile.Read(ref _begun);

        public ValueTask<KvValue> GetAsync(string key, KvGetOptions? options, CancellationToken cancellationToken) =>
            inner.GetAsync(key, options, cancellationToken);

        public ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
            IReadOnlyCollection<string> keys, KvGetOptions? options, CancellationToken cancellationToken) =>
            inner.GetManyAsync(keys, options, cancellationToken);

        public ValueTask PutAsync(string key, KvContent content, KvPutOptions? options, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _begun);
            return inner.PutAsync(key, content, options, cancellationToken);
        }

        public ValueTask DeleteAsync(string key, CancellationToken cancellationToken) => inner.DeleteAsync(key, cancellationToken);

        public ValueTask<KvListPage> ListAsync(KvListOptions? options, CancellationToken cancellationToken) =>
            inner.ListAsync(options, cancellationToken);
    }

    private static async Task<SortedDictionary<string, string>> StateAsync(KvNamespace kv)
    {
        var state = new SortedDictionary<string, string>(StringComparer.Ordinal);
        await foreach (var key in kv.ListAllAsync())
        {
            state[key.Name] = Encoding.UTF8.GetString((await kv.GetBytesAsync(key.Name))!.Value.Span);
        }

        return state;
    }
}
