using System.Runtime.CompilerServices;
using System.Text;
using KvStore.Expiry;
using KvStore.TestKit.Persistence;

namespace KvStore.Tests.Writes;

/// <summary>What is called during and after the disposal of a namespace, and namespaces that nobody disposes.</summary>
[Collection(AloneCollection.Name)]
public sealed class DisposalTests
{
    private const string Key = "a key of the namespace";

    public static TheoryData<string> Operations =>
    [
        "try get", "try get utf8", "get", "get other", "get text", "get bytes", "get json", "get stream", "get many", "list", "list all",
        "put", "put text", "put stream", "delete", "flush", "compact", "snapshot", "get with options",
    ];

    private static async Task CallAsync(KvNamespace kv, string operation)
    {
        switch (operation)
        {
            case "try get":
                kv.TryGet(Key, out var value).Should().BeTrue("it exists until the namespace is disposed");
                value.GetText().Should().Be("1");
                break;
            case "try get utf8":
                kv.TryGet(Encoding.UTF8.GetBytes(Key), out _).Should().BeTrue();
                break;
            case "get":
                (await kv.GetAsync(Key)).Exists.Should().BeTrue();
                break;
            case "get other":
                (await kv.GetAsync("ключ")).Exists.Should().BeTrue();
                break;
            case "get text":
                (await kv.GetTextAsync(Key)).Should().Be("1");
                break;
            case "get bytes":
                (await kv.GetBytesAsync(Key)).Should().NotBeNull();
                break;
            case "get json":
                (await kv.GetJsonAsync<int>(Key)).Should().Be(1);
                break;
            case "get stream":
                await using (var stream = await kv.GetStreamAsync(Key))
                {
                    stream.Should().NotBeNull();
                }

                break;
            case "get many":
                (await kv.GetManyAsync([Key, "key 5", "ключ"])).Values.Should().OnlyContain(found => found.Exists);
                break;
            case "list":
                (await kv.ListAsync(new KvListOptions { Limit = 10 })).Keys.Should().HaveCount(10);
                break;
            case "list all":
                var count = 0;
                await foreach (var key in kv.ListAllAsync("key "))
                {
                    key.Name.Should().StartWith("key ");
                    count++;
                }

                count.Should().BeGreaterThanOrEqualTo(1000);
                break;
            case "put":
                await kv.PutAsync(Key, new byte[] { (byte)'1' });
                break;
            case "put text":
                await kv.PutAsync($"key {Guid.NewGuid()}", "1");
                break;
            case "put stream":
                await kv.PutAsync(Key, new MemoryStream("1"u8.ToArray()));
                break;
            case "delete":
                await kv.DeleteAsync("nothing");
                break;
            case "flush":
                await kv.FlushAsync();
                break;
            case "compact":
                await kv.CompactAsync();
                break;
            case "snapshot":
                await kv.SnapshotAsync($"copy {Guid.NewGuid()}");
                break;
            default:
                (await kv.GetAsync(Key, new KvGetOptions { CacheTtl = TimeSpan.FromSeconds(60) })).Exists.Should().BeTrue();
                break;
        }
    }

    private static async Task<KvNamespace> OpenAsync(bool isPersistent, TimeProvider? time = null)
    {
        var kv = await KvNamespace.OpenAsync("FLAGS", new KvNamespaceOptions
        {
            Persistence = isPersistent ? new MemoryPersistence() : null,
            TimeProvider = time ?? TimeProvider.System,
        });
        for (var i = 0; i < 1000; i++)
        {
            await kv.PutAsync($"key {i}", "1");
        }

        await kv.PutAsync(Key, "1");
        await kv.PutAsync("ключ", "1");
        return kv;
    }

    [Theory]
    [MemberData(nameof(Operations))]
    public async Task After_disposal_every_call_says_which_namespace_was_disposed(string operation)
    {
        var kv = await OpenAsync(isPersistent: operation == "snapshot");
        await kv.DisposeAsync();

        var call = () => CallAsync(kv, operation);

        var thrown = (await call.Should().ThrowExactlyAsync<ObjectDisposedException>()).Which;
        thrown.ObjectName.Should().Be("FLAGS");
        thrown.Message.Should().Contain("\"FLAGS\"");
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public async Task During_disposal_a_call_is_right_or_says_that_the_namespace_was_disposed(bool isPersistent, bool isManualTime)
    {
        IEnumerable<object[]> rows = Operations;
        var operations = rows.Select(row => (string)row[0]).Where(operation => isPersistent || operation != "snapshot").ToArray();
        for (var round = 0; round < 30; round++)
        {
            var kv = await OpenAsync(isPersistent, isManualTime ? new FakeTimeProvider() : null);
            using var started = new CountdownEvent(4);
            var callers = Enumerable.Range(0, 4).Select(caller => Task.Run(async () =>
            {
                var random = new Random(caller);
                started.Signal();
                while (true)
                {
                    var operation = operations[random.Next(operations.Length)];
                    try
                    {
                        await CallAsync(kv, operation);
                    }
                    catch (ObjectDisposedException e)
                    {
                        e.ObjectName.Should().Be("FLAGS", "{0} met the disposal", operation);
                        return;
                    }
                    catch (InvalidOperationException e) when (e is not ObjectDisposedException && e.Message == "It is not open.")
                    {
                        // The provider of the test, which is not ours, was called between the check and its disposal.
                        return;
                    }
                }
            })).ToArray();
            started.Wait();
            await Task.Yield();

            await kv.DisposeAsync();

            await Task.WhenAll(callers);
        }
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task A_namespace_that_nobody_disposed_can_be_collected(bool isPersistent, bool isReplicated)
    {
        var weak = await MakeAsync(isPersistent, isReplicated);

        // What is on its way to the thread pool, or in a timer that was armed, ends within seconds.
        for (var attempt = 0; weak.IsAlive && attempt < 300; attempt++)
        {
            await Task.Delay(20);
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        weak.IsAlive.Should().BeFalse();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<WeakReference> MakeAsync(bool isPersistent, bool isReplicated)
    {
        var kv = await KvNamespace.OpenAsync("UNDISPOSED", new KvNamespaceOptions
        {
            Persistence = isPersistent ? new MemoryPersistence() : null,
            Replication = isReplicated
                ? new KvReplicationOptions { Regions = ["jnb", "lhr"], Lag = KvLag.None, EdgeCache = new KvEdgeCacheOptions() }
                : null,
        });
        await kv.PutAsync("k", new string('x', 10_000));
        await kv.PutAsync("expiring", "x", new KvPutOptions { ExpirationTtl = TimeSpan.FromDays(1) });
        (await kv.ListAsync()).Keys.Should().HaveCount(2);
        return new WeakReference(kv);
    }

    [Fact]
    public async Task Idle_namespaces_have_no_timer_that_is_armed()
    {
        var time = new CountingTimeProvider();
        var namespaces = new List<KvNamespace>();
        for (var i = 0; i < 100; i++)
        {
            var kv = KvNamespace.Create($"KV{i}", new KvNamespaceOptions { TimeProvider = time });
            namespaces.Add(kv);
            await kv.PutAsync("k", "v");
            await kv.DeleteAsync("other");
        }

        time.ArmedCount.Should().Be(100, "each has something to look at");
        for (var second = 0; second < 4; second++)
        {
            time.Advance(TimeSpan.FromSeconds(1));
        }

        time.ArmedCount.Should().Be(0);
        await namespaces[0].PutAsync("k", "w", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(100) });
        for (var second = 0; second < 4; second++)
        {
            time.Advance(TimeSpan.FromSeconds(1));
        }

        time.ArmedCount.Should().Be(1, "it waits for a deadline");
        var before = time.FiredCount;
        time.Advance(TimeSpan.FromSeconds(90));
        time.FiredCount.Should().Be(before);
        time.Advance(TimeSpan.FromSeconds(10));
        namespaces[0].Count.Should().Be(0, "it was swept at its deadline");
        foreach (var kv in namespaces)
        {
            await kv.DisposeAsync();
        }
    }

    [Fact]
    public async Task Namespaces_by_the_system_clock_share_one_clock()
    {
        GC.Collect();
        var before = CoarseClock.UserCount;
        var first = KvNamespace.Create("A");
        var second = KvNamespace.Create("B");
        CoarseClock.UserCount.Should().Be(before + 2);

        await first.DisposeAsync();
        await second.DisposeAsync();

        CoarseClock.UserCount.Should().BeLessThanOrEqualTo(before);
    }
}
