using System.Globalization;
using KvStore.PostgreSql.Tests.Servers;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.PostgreSql.Tests.Sharing;

/// <summary>Several processes that share a namespace.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class SharingTests
{
    [Fact]
    public async Task Writers_of_the_same_keys_converge_and_none_goes_back_to_an_older_revision()
    {
        await using var shared = await SharedNamespaces.OpenAsync(3);
        using var ending = new CancellationTokenSource();
        var readers = Enumerable.Range(0, shared.Count).Select(i => OwnThread.RunAsync(() => ReadAsync(shared[i], ending.Token))).ToArray();
        await Task.WhenAll(Enumerable.Range(0, shared.Count * 2).Select(writer => Task.Run(async () =>
        {
            var kv = shared[writer % shared.Count];
            var random = new Random(writer);
            for (var i = 0; i < 150; i++)
            {
                var key = $"k{random.Next(6)}";
                var value = $"{writer} {i}";
                switch (random.Next(10))
                {
                    case 0:
                        await kv.DeleteAsync(key);
                        break;
                    case 1:
                        await kv.PutManyAsync([new KvEntry(key, value), new KvEntry($"k{random.Next(6)}", value)]);
                        break;
                    case 2:
                        await kv.TryPutAsync(key, value, KvCondition.Absent);
                        break;
                    case 3:
                        await kv.TouchAsync(key, TimeSpan.FromHours(1));
                        break;
                    case 4:
                        await kv.DeleteManyAsync([key, $"k{random.Next(6)}"]);
                        break;
                    default:
                        await kv.PutAsync(key, value, new KvPutOptions { Metadata = KvMetadata.FromJson($"{i}") });
                        break;
                }
            }
        })));
        await ending.CancelAsync();
        await Task.WhenAll(readers);
        await shared.ShouldConvergeAsync();
        var late = await shared.AddAsync();
        (await SharedNamespaces.StateOf(late)).Should().Equal(await SharedNamespaces.StateOf(shared[0]));

        static Task ReadAsync(KvNamespace kv, CancellationToken cancellationToken)
        {
            var last = new long[6];
            while (!cancellationToken.IsCancellationRequested)
            {
                for (var i = 0; i < last.Length; i++)
                {
                    if (kv.TryGet($"k{i}", out var value))
                    {
                        value.Revision.Should().BeGreaterThanOrEqualTo(last[i]);
                        last[i] = value.Revision;
                    }
                }
            }

            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task Increments_of_all_processes_add_up()
    {
        await using var shared = await SharedNamespaces.OpenAsync(3);
        await Task.WhenAll(Enumerable.Range(0, 6).Select(worker => Task.Run(async () =>
        {
            for (var i = 0; i < 40; i++)
            {
                await shared[worker % 3].IncrementAsync("n");
            }
        })));
        await WaitUntil.HoldsAsync(() => Enumerable.Range(0, 3).All(i => shared[i].TryGet("n", out var n) && n.GetText() == "240"));
    }

    [Fact]
    public async Task Only_one_of_all_processes_creates_a_key()
    {
        await using var shared = await SharedNamespaces.OpenAsync(3);
        for (var i = 0; i < 20; i++)
        {
            var results = await Task.WhenAll(Enumerable.Range(0, 9).Select(
                worker => shared[worker % 3].TryPutAsync($"lock {i}", $"{worker}", KvCondition.Absent).AsTask()));
            var winner = results.Should().ContainSingle(result => result.Succeeded).Which;
            results.Where(result => !result.Succeeded).Should().OnlyContain(result => result.Revision == winner.Revision);

            // Whoever lost sees at once what won.
            for (var process = 0; process < 3; process++)
            {
                shared[process].TryGet($"lock {i}", out var value).Should().BeTrue();
                value.Revision.Should().Be(winner.Revision);
            }
        }
    }

    [Fact]
    public async Task Own_writes_are_visible_when_the_call_returns()
    {
        await using var shared = await SharedNamespaces.OpenAsync(2);
        await Task.WhenAll(Enumerable.Range(0, 16).Select(worker => Task.Run(async () =>
        {
            var kv = shared[worker % 2];
            for (var i = 0; i < 50; i++)
            {
                await kv.PutAsync($"own {worker}", $"{i}");
                kv.TryGet($"own {worker}", out var value).Should().BeTrue();
                value.GetText().Should().Be($"{i}");
            }

            await kv.DeleteAsync($"own {worker}");
            kv.TryGet($"own {worker}", out _).Should().BeFalse();
        })));
    }

    [Fact]
    public async Task Every_kind_of_write_reaches_the_other_processes()
    {
        await using var shared = await SharedNamespaces.OpenAsync(2);
        var (writer, reader) = (shared[0], shared[1]);
        var large = new byte[1_000_000];
        new Random(5).NextBytes(large);
        await writer.PutAsync("\0 é 😀", "text", new KvPutOptions { Metadata = KvMetadata.FromJson("{\"a\":1}") });
        await writer.PutAsync("large", large);
        await writer.PutAsync("stream", new MemoryStream(large));
        await writer.PutAsync("touched", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(2) });
        await writer.TouchAsync("touched", TimeSpan.FromHours(2));
        await writer.PutAsync("gone", "v");
        await WaitUntil.HoldsAsync(() => reader.TryGet("gone", out _));
        await writer.DeleteAsync("gone");
        await WaitUntil.HoldsAsync(() => !reader.TryGet("gone", out _));

        (await reader.GetTextAsync("\0 é 😀")).Should().Be("text");
        (await reader.GetAsync("\0 é 😀")).Metadata.ToString().Should().Be("{\"a\":1}");
        (await reader.GetBytesAsync("large"))!.Value.ToArray().Should().Equal(large);
        await using var stream = await reader.GetStreamAsync("stream");
        using var read = new MemoryStream();
        await stream!.CopyToAsync(read);
        read.ToArray().Should().Equal(large);
        (await reader.GetAsync("touched")).Expiration.Should().Be((await writer.GetAsync("touched")).Expiration)
            .And.BeAfter(DateTimeOffset.UtcNow.AddHours(1));
        reader.MemoryBytes.Should().BeLessThan(32 << 20);
    }

    [Fact]
    public async Task Watch_shows_the_newest_version_of_a_key_that_others_replace_between_questions()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        await using var slow = await KvPostgreSql.OpenAsync("SHARED", shared.Database, new KvPostgreSqlOptions { PollInterval = TimeSpan.FromMilliseconds(500), UseNotifications = false });
        using var ending = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var watch = slow.WatchAsync(cancellationToken: ending.Token).GetAsyncEnumerator(ending.Token);
        var next = watch.MoveNextAsync().AsTask();
        for (var i = 0; i <= 300; i++)
        {
            await shared[0].PutAsync("k", $"{i}");
        }

        var last = -1;
        while (last < 300)
        {
            (await next).Should().BeTrue();
            var version = int.Parse(watch.Current.Value.GetText()!, System.Globalization.CultureInfo.InvariantCulture);
            version.Should().BeGreaterThan(last);
            last = version;
            next = last < 300 ? watch.MoveNextAsync().AsTask() : next;
        }

        await watch.DisposeAsync();
    }

    [Fact]
    public async Task Watch_shows_the_delete_of_a_key_that_was_made_and_deleted_between_two_questions()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        await using var slow = await KvPostgreSql.OpenAsync("SHARED", shared.Database, new KvPostgreSqlOptions { PollInterval = TimeSpan.FromSeconds(60), UseNotifications = false });
        using var ending = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var watching = LastKindsAsync(slow, ending.Token);
        await AskAsync(slow);
        await shared[0].PutAsync("k", "v");
        await shared[0].DeleteAsync("k");
        await AskAsync(slow);
        await slow.PutAsync("end", "");
        (await watching).Should().Contain("k", KvChangeKind.Delete);
    }

    [Fact]
    public async Task Watch_shows_the_writes_of_all_processes()
    {
        await using var shared = await SharedNamespaces.OpenAsync(3);
        await shared[0].PutAsync("w/0", "before");
        await WaitUntil.HoldsAsync(() => shared[2].TryGet("w/0", out _));
        var seen = new Dictionary<string, string>(StringComparer.Ordinal);
        using var ending = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var isCurrent = new TaskCompletionSource();
        var watching = Task.Run(async () =>
        {
            var last = 0L;
            await foreach (var change in shared[2].WatchAsync(new KvWatchOptions { Prefix = "w/", Start = KvWatchStart.Current }, ending.Token))
            {
                change.Revision.Should().BeGreaterThanOrEqualTo(change.Revision == 0 ? 0 : last);
                last = Math.Max(last, change.Revision);
                if (change.Kind == KvChangeKind.Current)
                {
                    isCurrent.SetResult();
                    continue;
                }

                seen[change.Key] = change.Kind == KvChangeKind.Put ? change.Value.GetText()! : "-";
                if (change.Key == "w/end")
                {
                    return;
                }
            }
        });
        await Task.WhenAny(isCurrent.Task, watching);
        await Task.WhenAll(Enumerable.Range(0, 3).Select(process => Task.Run(async () =>
        {
            for (var i = 0; i < 100; i++)
            {
                await shared[process].PutAsync($"w/{(i * 3) + process}", $"{i}");
            }

            await shared[process].DeleteAsync($"w/{process}");
        })));
        await shared.ShouldConvergeAsync();
        await AskAsync(shared[2]);
        await shared[1].PutAsync("w/end", "");
        await watching;

        var expected = Enumerable.Range(0, 300).ToDictionary(i => $"w/{i}", i => i < 3 ? "-" : (i / 3).ToString(CultureInfo.InvariantCulture));
        expected["w/end"] = "";
        seen.Should().Equal(expected);
    }

    // The process has asked for the writes of the others when this completes, and applied them.
    private static async Task AskAsync(KvNamespace kv) => (await kv.DeletePrefixAsync("no key has this")).Should().Be(0);

    // Up to the key "end".
    private static async Task<Dictionary<string, KvChangeKind>> LastKindsAsync(KvNamespace kv, CancellationToken cancellationToken)
    {
        var kinds = new Dictionary<string, KvChangeKind>(StringComparer.Ordinal);
        await foreach (var change in kv.WatchAsync(cancellationToken: cancellationToken))
        {
            kinds[change.Key] = change.Kind;
            if (change.Key == "end")
            {
                break;
            }
        }

        return kinds;
    }

    [Fact]
    public async Task Delete_of_a_prefix_includes_what_other_processes_have_written()
    {
        await using var shared = await SharedNamespaces.OpenAsync(2, new KvPostgreSqlOptions { UseNotifications = false, PollInterval = TimeSpan.FromSeconds(20) });
        await shared[0].PutManyAsync([.. Enumerable.Range(0, 100).Select(i => new KvEntry($"p/{i}", "v"))]);
        await shared[0].PutAsync("q", "v");
        (await shared[1].DeletePrefixAsync("p/")).Should().Be(100);
        (await shared[1].ListAsync()).Keys.Select(key => key.Name).Should().Equal("q");
    }

    [Fact]
    public async Task Polling_is_enough_without_notifications()
    {
        await using var shared = await SharedNamespaces.OpenAsync(2, new KvPostgreSqlOptions { UseNotifications = false, PollInterval = TimeSpan.FromMilliseconds(20) });
        await shared[0].PutAsync("k", "v");
        await WaitUntil.HoldsAsync(() => shared[1].TryGet("k", out _));
    }

    [RealPartFact(RealPart.PgBouncer)]
    public async Task Processes_behind_a_pooler_share_with_those_that_are_not()
    {
        var options = new KvPostgreSqlOptions { UseNotifications = false, PollInterval = TimeSpan.FromMilliseconds(20) };
        var name = $"POOLED {Guid.NewGuid()}";
        await using var direct = await KvPostgreSql.OpenAsync(name, (await PostgreSqlServer.Shared).ConnectionString);
        await using var pooled = await KvPostgreSql.OpenAsync(name, await Pooler.ConnectionString, options);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => Task.Run(async () =>
        {
            for (var i = 0; i < 25; i++)
            {
                await (worker % 2 == 0 ? direct : pooled).IncrementAsync("n");
            }
        })));
        await WaitUntil.HoldsAsync(() => direct.TryGet("n", out var a) && a.GetText() == "100" && pooled.TryGet("n", out var b) && b.GetText() == "100");
    }

    [RealPartFact(RealPart.PgBouncer)]
    public async Task Processes_behind_a_pooler_also_share_with_the_default_options()
    {
        // Notifications do not arrive, or arrive at anybody, and the polls find everything.
        var name = $"POOLED {Guid.NewGuid()}";
        var database = new Npgsql.NpgsqlConnectionStringBuilder(await Pooler.ConnectionString) { NoResetOnClose = false }.ConnectionString;
        await using var first = await KvPostgreSql.OpenAsync(name, database);
        await using var second = await KvPostgreSql.OpenAsync(name, database);
        for (var i = 0; i < 20; i++)
        {
            var (writer, reader) = i % 2 == 0 ? (first, second) : (second, first);
            await writer.PutAsync("k", $"{i}");
            await WaitUntil.HoldsAsync(() => reader.TryGet("k", out var value) && value.GetText() == $"{i}");
        }

        first.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
        second.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
    }

    [Fact]
    public async Task Namespace_of_a_container_is_shared_and_serves_the_interfaces()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        await using var provider = new ServiceCollection()
            .AddKvNamespace("SHARED", kv => kv.UsePostgreSql(shared.Database))
            .BuildServiceProvider();
        var extended = provider.GetRequiredKeyedService<IKvExtendedNamespace>("SHARED");
        await extended.PutAsync("k", "v");
        await WaitUntil.HoldsAsync(() => shared[0].TryGet("k", out _));
        provider.GetRequiredKeyedService<KvNamespace>("SHARED").Health.Status.Should().Be(KvPersistenceStatus.Healthy);
    }

    [Fact]
    public void Replication_persistence_and_eviction_are_refused_together_with_it()
    {
        Refused(kv => kv.Replicate(r => r.Regions("a", "b"))).Should().Contain("Replication").And.Contain("Engine");
        Refused(kv => kv.PersistTo("data")).Should().Contain("Persistence").And.Contain("Engine");
        Refused(kv => kv.LimitMemory(1 << 20, KvMemoryPolicy.Evict)).Should().Contain("Evict").And.Contain("Engine");

        static string Refused(Action<KvNamespaceBuilder> also)
        {
            using var provider = new ServiceCollection()
                .AddKvNamespace("KV", kv => also(kv.UsePostgreSql("Host=127.0.0.1;Port=1")))
                .BuildServiceProvider();
            return provider.Invoking(p => p.GetRequiredKeyedService<KvNamespace>("KV")).Should()
                .Throw<Microsoft.Extensions.Options.OptionsValidationException>().Which.Message;
        }
    }

    [Fact]
    public async Task Sweeper_removes_what_is_not_needed_any_more()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1, new KvPostgreSqlOptions { SweepInterval = TimeSpan.FromSeconds(1) });
        var kv = shared[0];
        await kv.PutAsync("expired", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(1) });
        await kv.PutAsync("deleted", "v");
        await kv.PutAsync("large", new byte[300_000]);
        await kv.DeleteManyAsync(["deleted", "large"]);
        await PostgreSqlServer.ExecuteAsync(
            shared.Database,
            """
            UPDATE kvstore.entries SET expires = 10 WHERE expires IS NOT NULL;
            UPDATE kvstore.entries SET deleted_at = now() - interval '2 hours' WHERE deleted_at IS NOT NULL;
            UPDATE kvstore.commits SET at = now() - interval '2 hours';
            UPDATE kvstore.large_values SET at = now() - interval '2 hours', unreferenced_since = now() - interval '1 hour';
            UPDATE kvstore.changes SET slot = (slot + 2) % 8
            """);
        await WaitUntil.HoldsAsync(async () => (long)(await PostgreSqlServer.ExecuteAsync(
            shared.Database,
            "SELECT (SELECT count(*) FROM kvstore.entries) + (SELECT count(*) FROM kvstore.commits) + (SELECT count(*) FROM kvstore.large_values) + (SELECT count(*) FROM kvstore.changes)"))! == 0);

        await kv.PutAsync("deleted", "again");
        kv.TryGet("deleted", out _).Should().BeTrue();
        kv.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
    }
}
