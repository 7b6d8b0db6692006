using FsCheck;
using FsCheck.Fluent;
using Microsoft.Extensions.Caching.Distributed;

namespace KvStore.Caching.Tests.Distributed;

/// <summary>
/// Any sequence of calls, with time that goes by and restarts between them, against a model of what the expirations mean: a dictionary and
/// the rules of <see cref="DistributedCacheEntryOptions"/>, in ticks.
/// </summary>
public sealed class ExpirationModelTests
{
    // Around the seconds of the store, its shortest time to live, a sixteenth of a window, and ends of windows.
    private static readonly int[] s_milliseconds =
        [1, 2, 499, 500, 501, 999, 1000, 1001, 1500, 3749, 3750, 59_999, 60_000, 60_001, 61_000, 61_001, 75_000, 600_000, 1_200_000, 1_200_001];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Any_sequence_of_calls_and_restarts_does_what_the_rules_say(bool isPersisted) =>
        Prop.ForAll(Steps.ToArbitrary(), steps => RunAsync(steps, isPersisted, crashes: false).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(isPersisted ? 100 : 300).WithEndSize(60));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Entry_never_outlives_its_expirations_also_after_crashes(bool isPersisted) =>
        Prop.ForAll(Steps.ToArbitrary(), steps => RunAsync(steps, isPersisted, crashes: true).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(isPersisted ? 60 : 150).WithEndSize(60));

    // Times that are about as long as each other, so that entries are often just gone, or just not.
    private static Gen<Step[]> Steps =>
        from window in Gen.Elements(s_milliseconds)
        from steps in StepOf(window).ArrayOf()
        select steps;

    private static Gen<Step> StepOf(int window) =>
        from kind in Gen.Frequency(
            (3, Gen.Constant(Kind.Set)), (6, Gen.Constant(Kind.Get)), (2, Gen.Constant(Kind.Refresh)), (1, Gen.Constant(Kind.Remove)), (7, Gen.Constant(Kind.Wait)), (2, Gen.Constant(Kind.Restart)))
        from key in Gen.Elements("a", "b")
        from absolute in Gen.Elements(0, 0, window, 3 * window, (3 * window) + 1)
        from sliding in Gen.Elements(0, window, window, 2 * window)
        from wait in Gen.Frequency((6, Gen.Elements(1, window / 16, window / 2, window / 2, window - 1, window)), (1, Gen.Elements(s_milliseconds)))
        from isDate in Gen.Elements(false, true)
        select new Step(kind, key, absolute, sliding, wait, isDate);

    private static async Task RunAsync(Step[] steps, bool isPersisted, bool crashes)
    {
        await using var test = await KvCache.OpenAsync(isPersisted);
        var model = new Dictionary<string, Modelled>();
        for (var i = 0; i < steps.Length; i++)
        {
            var step = steps[i];
            switch (step.Kind)
            {
                case Kind.Set:
                    var options = new DistributedCacheEntryOptions();
                    if (step.Sliding > 0)
                    {
                        options.SlidingExpiration = TimeSpan.FromMilliseconds(step.Sliding);
                    }

                    if (step.Absolute > 0 && step.IsDate)
                    {
                        options.AbsoluteExpiration = test.Now.AddMilliseconds(step.Absolute);
                    }
                    else if (step.Absolute > 0)
                    {
                        options.AbsoluteExpirationRelativeToNow = TimeSpan.FromMilliseconds(step.Absolute);
                    }

                    await test.Cache.SetAsync(step.Key, [(byte)i], options);
                    model[step.Key] = new Modelled((byte)i, step.Absolute > 0 ? test.Now.AddMilliseconds(step.Absolute) : null, options.SlidingExpiration, test.Now);
                    break;
                case Kind.Get:
                    var expected = Use(model, step.Key, test.Now);
                    var found = i % 2 == 0 ? await test.Cache.GetAsync(step.Key) : test.Cache.Get(step.Key);
                    if (expected is null || !crashes)
                    {
                        found.Should().Equal(expected, "of step {0} of {1}", i, string.Join(", ", steps.Take(i + 1)));
                    }
                    else if (found is null)
                    {
                        // Nobody knows when it was last used: the entry may be gone early, if it slides.
                        model[step.Key].Sliding.Should().NotBeNull("of step {0} of {1}", i, string.Join(", ", steps.Take(i + 1)));
                        model.Remove(step.Key);
                    }
                    else
                    {
                        found.Should().Equal(expected);
                    }

                    break;
                case Kind.Refresh:
                    Use(model, step.Key, test.Now);
                    await test.Cache.RefreshAsync(step.Key);
                    break;
                case Kind.Remove:
                    model.Remove(step.Key);
                    await test.Cache.RemoveAsync(step.Key);
                    break;
                case Kind.Wait:
                    await test.AdvanceAsync(step.Wait);
                    break;
                default:
                    await (crashes && step.IsDate ? test.CrashAsync() : test.RestartAsync().AsTask());
                    break;
            }
        }

        test.Log.Warnings.Should().BeEmpty();
    }

    private static byte[]? Use(Dictionary<string, Modelled> model, string key, DateTimeOffset now)
    {
        if (!model.TryGetValue(key, out var entry) || entry.Absolute <= now || entry.LastUse + entry.Sliding <= now)
        {
            model.Remove(key);
            return null;
        }

        model[key] = entry with { LastUse = now };
        return [entry.Value];
    }

    private enum Kind
    {
        Set,
        Get,
        Refresh,
        Remove,
        Wait,
        Restart,
    }

    private sealed record Step(Kind Kind, string Key, int Absolute, int Sliding, int Wait, bool IsDate);

    private sealed record Modelled(byte Value, DateTimeOffset? Absolute, TimeSpan? Sliding, DateTimeOffset LastUse);
}
