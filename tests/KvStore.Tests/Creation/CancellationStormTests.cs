using System.Collections.Concurrent;

namespace KvStore.Tests.Creation;

/// <summary>Callers that come, give up and fail in any order, under invariants.</summary>
public sealed class CancellationStormTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Every_caller_ends_as_it_must_and_factories_are_called_one_at_a_time(int seed)
    {
        const int Keys = 4;
        await using var kv = KvNamespace.Create("KV");
        var running = new int[Keys];
        var overlaps = 0;
        var failures = new ConcurrentQueue<string>();

        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            var random = new Random((seed * 100) + worker);
            for (var i = 0; i < 300; i++)
            {
                var key = random.Next(Keys);
                var factoryWill = random.Next(4);
                var steps = random.Next(4);
                using var giveUp = new CancellationTokenSource();
                var call = kv.GetOrCreateAsync(
                    $"{key}",
                    async ct =>
                    {
                        if (Interlocked.Increment(ref running[key]) != 1)
                        {
                            Interlocked.Increment(ref overlaps);
                        }

                        try
                        {
                            for (var step = 0; step < steps; step++)
                            {
                                await Task.Yield();
                                if (factoryWill != 3)
                                {
                                    ct.ThrowIfCancellationRequested();
                                }
                            }

                            return factoryWill == 0 ? throw new TimeoutException()
                                : factoryWill == 1 ? KvCreated<int>.Skip(key)
                                : new KvCreated<int>(key);
                        }
                        finally
                        {
                            Interlocked.Decrement(ref running[key]);
                        }
                    },
                    options: null,
                    giveUp.Token).AsTask();
                var gaveUp = random.Next(2) == 0;
                if (gaveUp)
                {
                    await giveUp.CancelAsync();
                }

                try
                {
                    if (await call != key)
                    {
                        failures.Enqueue("a value of another key");
                    }
                }
                catch (TimeoutException)
                {
                }
                catch (OperationCanceledException) when (gaveUp)
                {
                }
                catch (Exception e)
                {
                    failures.Enqueue(e.ToString());
                }

                if (random.Next(3) == 0)
                {
                    await kv.DeleteAsync($"{key}");
                }
            }
        })));

        failures.Should().BeEmpty();
        overlaps.Should().Be(0);
        for (var key = 0; key < Keys; key++)
        {
            // Nothing is left under way for ever. A put of the last factory may come after the delete.
            await kv.DeleteAsync($"{key}");
            (await kv.GetOrCreateAsync($"{key}", _ => new ValueTask<int>(7)).AsTask().WaitAsync(TimeSpan.FromSeconds(30))).Should().BeOneOf(7, key);
        }

        // Each of these calls began after the factory before it had ended.
        running.Should().OnlyContain(count => count == 0);
    }
}
