using System.Globalization;
using FsCheck;
using FsCheck.Fluent;

namespace KvStore.Tests.Replication;

/// <summary>
/// Whatever happens in whatever order in several regions, each sees what <see cref="PropagationModel"/> says, and in the end
/// all see the same. How many schedules are tried: <c>KVSTORE_REPLICATION_SCHEDULES</c>, 300 unless given.
/// </summary>
public sealed class PropagationTests
{
    private const int RegionCount = 4;
    private static readonly string[] s_regions = ["jnb", "lhr", "sfo", "syd"];

    private static int Schedules => int.TryParse(
        Environment.GetEnvironmentVariable("KVSTORE_REPLICATION_SCHEDULES"), NumberStyles.None, CultureInfo.InvariantCulture, out var given)
        ? given
        : 300;

    [Fact]
    public void Regions_see_what_a_plain_model_of_messages_says()
    {
        var schedules =
            from seed in Gen.Choose(0, int.MaxValue)
            from length in Gen.Choose(1, 150)
            from withSkew in Gen.Elements(false, true)
            select ScheduledOperation.Schedule(seed, length, RegionCount, withSkew);

        Prop.ForAll(Arb.From(schedules, Shorter), schedule => Play(schedule)).Check(Config.QuickThrowOnFailure.WithMaxTest(Schedules));
    }

    [Fact]
    public void A_region_never_goes_back_to_an_older_version_when_clocks_agree()
    {
        for (var seed = 0; seed < Schedules / 10; seed++)
        {
            var schedule = ScheduledOperation.Schedule(seed, 400, RegionCount, withSkew: false);
            var newest = new Dictionary<(int, string), int>();
            Play(schedule, (region, key, value) =>
            {
                // A value is the number of its put. Puts are numbered in the order of their revisions.
                var version = value is null ? -1 : int.Parse(value.AsSpan(1), CultureInfo.InvariantCulture);
                if (version >= 0)
                {
                    newest.GetValueOrDefault((region, key), -1).Should().BeLessThanOrEqualTo(version);
                    newest[(region, key)] = version;
                }
            });
        }
    }

    [Fact]
    public async Task The_same_seed_gives_the_same_trace()
    {
        for (var seed = 0; seed < 20; seed++)
        {
            var schedule = ScheduledOperation.Schedule(seed, 300, RegionCount, withSkew: true);

            (await Trace(schedule, lagSeed: 42)).Should().Equal(await Trace(schedule, lagSeed: 42));
        }

        var some = ScheduledOperation.Schedule(0, 300, RegionCount, withSkew: false);
        (await Trace(some, lagSeed: 42)).Should().NotEqual(await Trace(some, lagSeed: 43));
    }

    [Fact]
    public async Task The_trace_is_the_same_in_every_process()
    {
        // Hashes of keys are seeded at random in every process: were the order theirs, this would fail in most.
        ScheduledOperation[] schedule =
        [
            .. Enumerable.Range(0, 6).Select(i => new ScheduledOperation.Put(i % RegionCount, $"k{i}", $"v{i}", TtlSeconds: null)),
            new ScheduledOperation.Advance(9_000),
        ];

        var trace = await Trace(schedule, lagSeed: 42);

        trace.Should().HaveCount(18).And.BeInAscendingOrder(StringComparer.Ordinal);
        trace.Take(4).Should().Equal(
            "     92.0023 k1 lhr>syd 2 Visible",
            "    165.4508 k5 lhr>syd 6 Visible",
            "    466.9692 k3 syd>lhr 4 Visible",
            "    935.3353 k0 jnb>sfo 1 Visible");
    }

    private static async Task<List<string>> Trace(ScheduledOperation[] schedule, int lagSeed)
    {
        using var player = new SchedulePlayer(s_regions, KvLag.Uniform(TimeSpan.Zero, TimeSpan.FromSeconds(9), lagSeed));
        var events = player.Kv.Replication!.ReadEventsAsync().GetAsyncEnumerator();
        foreach (var operation in schedule)
        {
            player.Apply(operation);
        }

        player.Dispose();
        var trace = new List<string>();
        while (await events.MoveNextAsync())
        {
            var e = events.Current;
            trace.Add(FormattableString.Invariant($"{(e.HeardAt - DateTimeOffset.FromUnixTimeSeconds(1_700_000_000)).TotalMilliseconds,12:0.0000} {e.Key} {e.From}>{e.To} {e.Revision} {e.Outcome}"));
        }

        return trace;
    }

    private static void Play(ScheduledOperation[] schedule, Action<int, string, string?>? onRead = null)
    {
        using var player = new SchedulePlayer(s_regions, new SomeLag(s_regions)) { OnRead = onRead };
        foreach (var operation in schedule)
        {
            player.Apply(operation);
        }

        player.Quiesce();
    }

    // Without one half or the other, then without one operation each.
    private static IEnumerable<ScheduledOperation[]> Shorter(ScheduledOperation[] schedule)
    {
        if (schedule.Length > 3)
        {
            yield return schedule[..(schedule.Length / 2)];
            yield return schedule[(schedule.Length / 2)..];
        }

        for (var i = 0; i < schedule.Length; i++)
        {
            yield return [.. schedule[..i], .. schedule[(i + 1)..]];
        }
    }

    /// <summary>None for some, up to 16 seconds for others, and equal ones often.</summary>
    private sealed class SomeLag(string[] regions) : IKvLagModel
    {
        public TimeSpan GetLag(string origin, string destination, long mutation)
        {
            var mixed = (ulong)((mutation * 31) + (Array.IndexOf(regions, origin) * 7) + Array.IndexOf(regions, destination)) * 0x9E37_79B9_7F4A_7C15;
            return TimeSpan.FromMilliseconds(250 * Math.Max(0, (int)((mixed >> 40) % 80) - 15));
        }
    }
}
