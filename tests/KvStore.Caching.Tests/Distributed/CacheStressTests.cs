using System.Buffers.Binary;
using Microsoft.Extensions.Caching.Distributed;

namespace KvStore.Caching.Tests.Distributed;

/// <summary>Readers of sliding entries beside writers and removers of the same keys, with what must hold at any time and in the end.</summary>
public sealed class CacheStressTests
{
    private const int KeyCount = 4;
    private const int RoundCount = 2000;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Sliding_reads_beside_sets_and_removes_keep_every_version_whole(bool isPersisted)
    {
        await using var test = await KvCache.OpenAsync(isPersisted);
        using var end = new CancellationTokenSource();
        var rounds = RoundCount / (isPersisted ? 20 : 1);

        // Each key has one writer, so that its last write is known.
        var writers = Enumerable.Range(0, KeyCount).Select(key => Task.Run(async () =>
        {
            var random = new Random(key);
            for (var version = 1; version <= rounds; version++)
            {
                await test.Cache.SetAsync($"k{key}", Value(key, version), Options(version));
                if (version % 2 == 0)
                {
                    // This one never expires, whatever touches of the one before it come late.
                    for (var i = 0; i < 4; i++)
                    {
                        test.Namespace.TryGet($"cache/k{key}", out var value).Should().BeTrue();
                        value.Expiration.Should().BeNull("a touch of an older version must not give its deadline to this one");
                        await test.SettleAsync();
                        await Task.Yield();
                    }

                    Check(key, await test.Cache.GetAsync($"k{key}"), version, version).Should().Be(version);
                }
                else if (random.Next(4) == 0)
                {
                    await test.Cache.RemoveAsync($"k{key}");
                    (await test.Cache.GetAsync($"k{key}")).Should().BeNull("nobody else sets the key");
                }
                else
                {
                    // More than a sixteenth of a window: the next read of another thread touches the entry.
                    test.Clock.Advance(TimeSpan.FromHours(7));
                    Thread.SpinWait(random.Next(2000));
                }
            }

            await test.Cache.SetAsync($"k{key}", Value(key, int.MaxValue), new());
        })).ToArray();
        var readers = Enumerable.Range(0, 4).Select(reader => Task.Run(async () =>
        {
            var last = new long[KeyCount];
            for (var i = reader; !end.IsCancellationRequested; i++)
            {
                var key = i % KeyCount;
                if (i % 3 == 0)
                {
                    await test.Cache.RefreshAsync($"k{key}");
                }
                else
                {
                    var found = i % 2 == 0 ? test.Cache.Get($"k{key}") : await test.Cache.GetAsync($"k{key}");
                    last[key] = Check(key, found, last[key], long.MaxValue) ?? last[key];
                }

                if (i % 64 == 0)
                {
                    test.Entries.Sweep();
                }
            }
        })).ToArray();

        await Task.WhenAll(writers);
        await end.CancelAsync();
        await Task.WhenAll(readers);
        await test.SettleAsync();

        test.Log.Warnings.Should().BeEmpty();
        for (var key = 0; key < KeyCount; key++)
        {
            test.Namespace.TryGet($"cache/k{key}", out var value).Should().BeTrue();
            value.Expiration.Should().BeNull("a touch of an older version must not give its deadline to this one");
        }

        await test.AdvanceAsync(TimeSpan.FromDays(1000));
        await test.RestartAsync();
        for (var key = 0; key < KeyCount; key++)
        {
            Check(key, test.Cache.Get($"k{key}"), int.MaxValue, int.MaxValue).Should().Be(int.MaxValue);
        }
    }

    private static DistributedCacheEntryOptions Options(int version) => version % 2 == 0 ? new() : (version % 3) switch
    {
        0 => new() { SlidingExpiration = TimeSpan.FromHours(100) },
        1 => new() { SlidingExpiration = TimeSpan.FromHours(100), AbsoluteExpirationRelativeToNow = TimeSpan.FromHours(10_000) },
        _ => new() { AbsoluteExpirationRelativeToNow = TimeSpan.FromHours(300) },
    };

    private static byte[] Value(int key, long version)
    {
        var value = new byte[16 + (version % 100)];
        BinaryPrimitives.WriteInt64LittleEndian(value, version);
        value.AsSpan(16).Fill((byte)version);
        value[8] = (byte)key;
        return value;
    }

    private static long? Check(int key, byte[]? found, long from, long through)
    {
        if (found is null)
        {
            return null;
        }

        var version = BinaryPrimitives.ReadInt64LittleEndian(found);
        version.Should().BeInRange(from, through);
        found.Should().Equal(Value(key, version));
        return version;
    }
}
