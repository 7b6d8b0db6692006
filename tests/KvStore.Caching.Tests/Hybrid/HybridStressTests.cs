using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Caching.Tests.Hybrid;

/// <summary>Many threads at once: what is returned is never older than the last removal that had completed.</summary>
public sealed class HybridStressTests
{
    private const int Keys = 5;
    private const int RemovalsMin = 400;
    private const int ReadsMin = 4000;

    public static TheoryData<bool, string> Removers
    {
        get
        {
            var all = new TheoryData<bool, string>();
            foreach (var remover in new[] { "key", "tag", "tags", "all", "set", "namespace" })
            {
                all.Add(false, remover);
                all.Add(true, remover);
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Removers))]
    public async Task No_value_from_before_a_removal_is_returned_after_it(bool isImmutable, string remover)
    {
        await using var host = new HybridHost(time: TimeProvider.System);
        var cache = host.Cache;
        var source = new long[Keys];
        var floor = new long[Keys];
        var isDone = false;
        var reads = 0;
        var readers = Enumerable.Range(0, 4).Select(reader => Task.Run(async () =>
        {
            var random = new Random(reader);
            while (!Volatile.Read(ref isDone))
            {
                var key = random.Next(Keys);
                var atLeast = Volatile.Read(ref floor[key]);
                using var cancellation = new CancellationTokenSource();
                var token = random.Next(3) == 0 ? cancellation.Token : default;
                var version = isImmutable
                    ? (await cache.GetOrCreateAsync($"{key}", async _ => new Price("version", (int)await LoadAsync(key)), tags: Tags(key), cancellationToken: token)).Cents
                    : long.Parse((await cache.GetOrCreateAsync($"{key}", async _ => new Basket { Owner = $"{await LoadAsync(key)}" }, tags: Tags(key), cancellationToken: token)).Owner);
                version.Should().BeGreaterThanOrEqualTo(atLeast);
                Interlocked.Increment(ref reads);
            }
        })).ToArray();

        // Both go on for a while beside each other. A reader that fails ends the test.
        for (var i = 1; (i <= RemovalsMin || Volatile.Read(ref reads) < ReadsMin) && !readers.Any(reader => reader.IsFaulted); i++)
        {
            await Task.Yield();
            var key = i % Keys;
            Volatile.Write(ref source[key], i);
            if (remover == "all")
            {
                Array.Fill(source, i);
            }

            await RemoveAsync(key, i);
            Volatile.Write(ref floor[key], i);
            if (remover == "all")
            {
                Array.Fill(floor, i);
            }
        }

        Volatile.Write(ref isDone, true);
        await Task.WhenAll(readers);
        host.Internals.Writes.Count.Should().Be(0);
        host.Log.Warnings.Should().BeEmpty();
        await cache.RemoveByTagAsync("*");
        await Eventually.BecomesAsync(() => (host.Kv.Count, host.Internals.Entries.Count), (0, 0));

        async Task<long> LoadAsync(int key)
        {
            var version = Volatile.Read(ref source[key]);
            await Task.Yield();
            return version;
        }

        static string[] Tags(int key) => [$"tag {key}", "common"];

        ValueTask RemoveAsync(int key, int version) => remover switch
        {
            "key" => cache.RemoveAsync($"{key}"),
            "tag" => cache.RemoveByTagAsync($"tag {key}"),
            "tags" => cache.RemoveByTagAsync([$"tag {key}", "never used"]),
            "all" => cache.RemoveByTagAsync("*"),
            "set" => isImmutable ? cache.SetAsync($"{key}", new Price("version", version)) : cache.SetAsync($"{key}", new Basket { Owner = $"{version}" }),

            // Past the cache. A factory that is running may put its value back, so none runs: the key is removed first.
            _ => PastTheCacheAsync(key, version),
        };

        async ValueTask PastTheCacheAsync(int key, int version)
        {
            await cache.RemoveAsync($"{key}");
            await host.Kv.PutAsync($"hybrid/{key}", isImmutable ? $$"""{"Product":"version","Cents":{{version}}}""" : $$"""{"Owner":"{{version}}"}""");
        }
    }

    [Fact]
    public async Task Callers_of_many_keys_at_once_cause_one_factory_for_each()
    {
        await using var host = new HybridHost(time: TimeProvider.System);
        var calls = new int[200];
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < calls.Length; i++)
            {
                var key = i;
                (await host.Cache.GetOrCreateAsync($"{key}", async _ =>
                {
                    Interlocked.Increment(ref calls[key]);
                    await Task.Yield();
                    return new Point(key, 0);
                })).X.Should().Be(key);
            }
        })));
        calls.Should().OnlyContain(count => count == 1);
    }

    [Fact]
    public async Task Callers_who_come_and_leave_never_hang_and_never_get_another_key()
    {
        await using var host = new HybridHost(time: TimeProvider.System);
        await Task.WhenAll(Enumerable.Range(0, 6).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (var i = 0; i < 500; i++)
            {
                var key = random.Next(4);
                using var cancellation = new CancellationTokenSource();
                var call = host.Cache.GetOrCreateAsync($"{key}", async token =>
                {
                    await Task.Yield();
                    token.ThrowIfCancellationRequested();
                    return new Point(key, 0);
                }, new() { Expiration = TimeSpan.FromMilliseconds(1) }, cancellationToken: cancellation.Token).AsTask();
                if (random.Next(2) == 0)
                {
                    await cancellation.CancelAsync();
                }

                try
                {
                    (await call).X.Should().Be(key);
                }
                catch (OperationCanceledException)
                {
                    cancellation.IsCancellationRequested.Should().BeTrue("nobody is cancelled who did not ask for it");
                }
            }
        })));
        await Eventually.BecomesAsync(() => host.Internals.Writes.Count, 0);
    }
}
