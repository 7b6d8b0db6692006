using System.Globalization;
using FsCheck;
using FsCheck.Fluent;

namespace KvStore.Tests.Watching;

/// <summary>
/// Watchers of many prefixes beside random operations, who read now and then, break off anywhere and go on, also in another namespace: in
/// the end each has what the namespace has.
/// </summary>
public sealed class WatchModelTests
{
    private static readonly string[] s_prefixes = ["", "a", "a/", "a/b", "b", "é", "\0", "zz"];

    private static readonly string[] s_names = ["", "b", "/", "/b", "/bb", "/c", "b/", "\0", "\uFFFD", "\U0001F600"];

    [Fact]
    public void Last_state_of_every_watcher_is_that_of_the_namespace() => Prop.ForAll(
        Arb.From(from seed in Gen.Choose(0, int.MaxValue) from operations in Gen.Choose(1, 400) select (seed, operations)),
        run => RunAsync(run.seed, run.operations).GetAwaiter().GetResult()).Check(Config.QuickThrowOnFailure.WithMaxTest(60));

    private static async Task RunAsync(int seed, int operations)
    {
        var random = new Random(seed);
        var time = new FakeTimeProvider();
        var kv = Create(time);
        var followers = s_prefixes.Concat(s_prefixes).Select(prefix => new Follower(prefix)).ToArray();
        try
        {
            for (var i = 0; i < operations; i++)
            {
                var key = s_prefixes[random.Next(s_prefixes.Length)] + s_names[random.Next(s_names.Length)];
                key = key.Length == 0 ? "a" : key;
                switch (random.Next(20))
                {
                    case < 8:
                        await kv.PutAsync(key, Text(i), random.Next(3) == 0 ? new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(random.Next(1, 20)) } : null);
                        break;
                    case < 12:
                        await kv.DeleteAsync(key);
                        break;
                    case < 14:
                        time.Advance(TimeSpan.FromMilliseconds(random.Next(5000)));
                        break;
                    case < 19:
                        var follower = followers[random.Next(followers.Length)];
                        await BreakOffAsync(follower, kv, random);
                        break;
                    default:
                        if (random.Next(20) == 0)
                        {
                            // Another process: nothing is left.
                            await Task.WhenAll(followers.Select(follower => follower.EndAsync().AsTask()));
                            await kv.DisposeAsync();
                            kv = Create(time);
                        }

                        break;
                }
            }

            time.Advance(TimeSpan.FromSeconds(2));
            foreach (var follower in followers)
            {
                await follower.EndAsync();
                follower.Begin(kv);
                await follower.CatchUpAsync(kv);
                follower.Entries.Should().BeEquivalentTo(await EntriesAsync(kv, follower.Prefix), "of the watcher of \"{0}\"; seed {1}, operations {2}", follower.Prefix, seed, operations);
            }
        }
        finally
        {
            await Task.WhenAll(followers.Select(follower => follower.EndAsync().AsTask()));
            await kv.DisposeAsync();
        }
    }

    [Fact]
    public async Task Watcher_of_the_same_process_goes_on_without_a_reset()
    {
        await using var kv = Create(new FakeTimeProvider());
        await using var follower = new Follower("");
        var random = new Random(5);
        for (var i = 0; i < 300; i++)
        {
            follower.Begin(kv);
            await follower.CatchUpAsync(kv);
            await follower.EndAsync();
            for (var n = 0; n < 10; n++)
            {
                var key = s_names[random.Next(1, s_names.Length)];
                await (random.Next(2) == 0 ? kv.PutAsync(key, Text(n)) : kv.DeleteAsync(key));
            }
        }

        follower.Resets.Should().Be(0);
    }

    // In the middle of a scan, of a round, or while it waits; or only reads on.
    private static async Task BreakOffAsync(Follower follower, KvNamespace kv, Random random)
    {
        if (!follower.IsWatching || random.Next(3) == 0)
        {
            await follower.EndAsync();
            follower.Begin(kv);
        }

        await follower.ReadAsync(random.Next(6));
    }

    private static KvNamespace Create(TimeProvider time) => KvNamespace.Create(
        "test", new KvNamespaceOptions { TimeProvider = time, Limits = new KvLimits { ExpirationTtlMin = TimeSpan.FromSeconds(1) } });

    private static async Task<Dictionary<string, string>> EntriesAsync(KvNamespace kv, string prefix)
    {
        var entries = new Dictionary<string, string>();
        await foreach (var key in kv.ListAllAsync(prefix))
        {
            if (!key.Name.EndsWith(Follower.Marker, StringComparison.Ordinal))
            {
                entries[key.Name] = (await kv.GetTextAsync(key.Name))!;
            }
        }

        return entries;
    }

    private static string Text(int i) => i.ToString(CultureInfo.InvariantCulture);
}
