using KvStore.TestKit.Persistence;

namespace KvStore.Tests.Writes;

/// <summary>The limits of a whole namespace hold whatever is written at the same time, and are checked without a walk.</summary>
public sealed class NamespaceLimitTests
{
    private static async Task<KvNamespace> OpenAsync(IKvPersistence? persistence, long? keys = null, long? bytes = null, TimeProvider? time = null) =>
        await KvNamespace.OpenAsync("KV", new KvNamespaceOptions
        {
            Persistence = persistence,
            TimeProvider = time ?? TimeProvider.System,
            Limits = new KvLimits { NamespaceKeysMax = keys, NamespaceBytesMax = bytes, ExpirationTtlMin = TimeSpan.FromSeconds(1) },
        });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Concurrent_puts_never_exceed_the_number_of_keys(bool isPersistent)
    {
        await using var kv = await OpenAsync(isPersistent ? new SlowPersistence(new MemoryPersistence()) : null, keys: 50);
        var refused = 0;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(writer => Task.Run(async () =>
        {
            for (var i = 0; i < 100; i++)
            {
                try
                {
                    await kv.PutAsync($"{writer} {i}", "v");
                }
                catch (KvException e) when (e.StatusCode == 413)
                {
                    Interlocked.Increment(ref refused);
                }
            }
        })));

        kv.Count.Should().Be(50);
        refused.Should().Be(750);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Puts_and_deletes_at_the_limit_never_exceed_it(bool isPersistent)
    {
        const int Keys = 10;
        await using var kv = await OpenAsync(isPersistent ? new SlowPersistence(new MemoryPersistence()) : null, keys: Keys, bytes: Keys * 12);
        var most = 0L;
        for (var round = 0; round < 250; round++)
        {
            await Task.WhenAll(Enumerable.Range(0, 6).Select(writer => Task.Run(async () =>
            {
                var random = new Random((round * 6) + writer);
                for (var i = 0; i < 2; i++)
                {
                    var key = $"k{random.Next(100, 130)}";
                    try
                    {
                        await (random.Next(3) == 0 ? kv.DeleteAsync(key) : kv.PutAsync(key, "12345678"));
                    }
                    catch (KvException e) when (e.StatusCode == 413)
                    {
                        // That is what the limit is for.
                    }
                }
            })));

            // While nobody writes: the count of one shard is older than that of the next.
            most = Math.Max(most, kv.Count);
        }

        most.Should().BeLessThanOrEqualTo(Keys);
    }

    [Fact]
    public async Task An_overwrite_at_the_limit_is_taken_and_a_refused_put_changes_nothing()
    {
        await using var kv = await OpenAsync(null, keys: 2, bytes: 20);
        await kv.PutAsync("a", "1234");
        await kv.PutAsync("b", "1234");
        await kv.PutAsync("a", "5678");

        var third = async () => await kv.PutAsync("c", "x");
        var longer = async () => await kv.PutAsync("a", new string('x', 100));

        (await third.Should().ThrowAsync<KvException>()).WithMessage("*3 keys*limit of 2*");
        (await longer.Should().ThrowAsync<KvException>()).WithMessage("*106 bytes*limit of 20*");
        (await kv.GetTextAsync("a")).Should().Be("5678");
        kv.Count.Should().Be(2);
        await kv.DeleteAsync("b");
        await kv.PutAsync("c", "x");
    }

    [Fact]
    public async Task Expired_entry_frees_its_quota_before_it_is_swept()
    {
        var time = new FakeTimeProvider();
        await using var kv = await OpenAsync(null, keys: 2, bytes: 100, time: time);
        await kv.PutAsync("a", "1", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(5) });
        await kv.PutAsync("b", "1");
        // Adjusting the clock fires no timer, so nothing is swept.
        time.AdjustTime(time.GetUtcNow() + TimeSpan.FromSeconds(5));

        await kv.PutAsync("c", "1");

        var fourth = async () => await kv.PutAsync("d", "1");
        await fourth.Should().ThrowAsync<KvException>();
    }

    [Fact]
    public async Task A_refused_put_does_not_make_the_next_one_come_too_soon()
    {
        var time = new FakeTimeProvider();
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions
        {
            TimeProvider = time,
            EnforceWriteRate = true,
            Limits = new KvLimits { NamespaceKeysMax = 1, NamespaceBytesMax = 10 },
        });
        var tooLong = async () => await kv.PutAsync("a", new string('x', 100));
        (await tooLong.Should().ThrowAsync<KvException>()).Which.StatusCode.Should().Be(413);

        await kv.PutAsync("a", "fits");

        (await kv.GetTextAsync("a")).Should().Be("fits");
    }

    /// <summary>Completes each append a little later, on another thread, so that many are in flight.</summary>
    private sealed class SlowPersistence(MemoryPersistence inner) : IKvPersistence
    {
        public KvPersistenceHealth Health => inner.Health;

        public IKvLargeValues? LargeValues => inner.LargeValues;

        public ValueTask<KvRecovery> OpenAsync(IKvPersistenceHost host, CancellationToken cancellationToken = default) =>
            inner.OpenAsync(host, cancellationToken);

        public ValueTask AppendAsync(in KvMutation mutation, CancellationToken cancellationToken = default)
        {
            var append = inner.AppendAsync(mutation, cancellationToken);
            return new(Task.Run(async () =>
            {
                await append;
                await Task.Yield();
            }, CancellationToken.None));
        }

        public ValueTask FlushAsync(CancellationToken cancellationToken = default) => inner.FlushAsync(cancellationToken);

        public ValueTask CompactAsync(CancellationToken cancellationToken = default) => inner.CompactAsync(cancellationToken);

        public ValueTask SnapshotAsync(string directory, CancellationToken cancellationToken = default) =>
            inner.SnapshotAsync(directory, cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
