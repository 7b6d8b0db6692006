using FsCheck;
using FsCheck.Fluent;
using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Caching.Tests.Hybrid;

/// <summary>Tags and expiration beside a dictionary, with restarts, writes past the cache, and every kind of removal.</summary>
public sealed class HybridModelTests
{
    private const int Keys = 6;
    private static readonly string[] s_tags = ["a", "b", "c"];

    private enum Kind
    {
        Set,
        Get,
        Remove,
        RemoveByTag,
        RemoveByTags,
        RemoveAll,
        Advance,
        DeletePast,
        Restart,
    }

    [Theory]
    [InlineData(false, 60)]
    [InlineData(true, 25)]
    public void Cache_returns_what_the_model_returns(bool isPersisted, int runs)
    {
        var steps =
            from kind in Gen.Frequency(
                (6, Gen.Constant(Kind.Set)), (6, Gen.Constant(Kind.Get)), (1, Gen.Constant(Kind.Remove)), (2, Gen.Constant(Kind.RemoveByTag)), (1, Gen.Constant(Kind.RemoveByTags)),
                (1, Gen.Constant(Kind.RemoveAll)), (3, Gen.Constant(Kind.Advance)), (1, Gen.Constant(Kind.DeletePast)), (isPersisted ? 1 : 0, Gen.Constant(Kind.Restart)))
            from key in Gen.Choose(0, Keys - 1)
            from tags in Gen.Choose(0, (1 << s_tags.Length) - 1)
            from milliseconds in Gen.Elements(1, 20, 999, 1000, 61_000, 200_000)
            select new Step(kind, key, tags, milliseconds);
        var property = Prop.ForAll(steps.ListOf(40).ToArbitrary(), list => RunAsync([.. list], isPersisted).GetAwaiter().GetResult());
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(runs), property);
    }

    private static async Task<bool> RunAsync(IReadOnlyList<Step> steps, bool isPersisted)
    {
        await using var host = new HybridHost(isPersisted);
        var model = new Dictionary<int, (int Value, string[] Tags, DateTimeOffset Until)>();
        for (var i = 0; i < steps.Count; i++)
        {
            var step = steps[i];
            var tags = s_tags.Where((_, bit) => (step.Tags & (1 << bit)) != 0).ToArray();
            switch (step.Kind)
            {
                case Kind.Set:
                    await host.Cache.SetAsync($"{step.Key}", i, Lives(step), tags);
                    model[step.Key] = (i, tags, host.Fake.GetUtcNow().AddMilliseconds(step.Milliseconds));
                    break;
                case Kind.Get:
                    if (!IsThere(step.Key))
                    {
                        model[step.Key] = (i, tags, host.Fake.GetUtcNow().AddMilliseconds(step.Milliseconds));
                    }

                    if (await host.Cache.GetOrCreateAsync($"{step.Key}", _ => new ValueTask<int>(i), Lives(step), tags) != model[step.Key].Value)
                    {
                        return false;
                    }

                    break;
                case Kind.Remove:
                    await host.Cache.RemoveAsync($"{step.Key}");
                    model.Remove(step.Key);
                    break;
                case Kind.RemoveByTag:
                    await host.Cache.RemoveByTagAsync(s_tags[step.Key % s_tags.Length]);
                    Forget(s_tags[step.Key % s_tags.Length]);
                    break;
                case Kind.RemoveByTags:
                    await host.Cache.RemoveByTagAsync(tags);
                    Forget(tags);
                    break;
                case Kind.RemoveAll:
                    await host.Cache.RemoveByTagAsync("*");
                    model.Clear();
                    break;
                case Kind.Advance:
                    host.Fake.Advance(TimeSpan.FromMilliseconds(step.Milliseconds));
                    break;
                case Kind.DeletePast:
                    await host.Kv.DeleteAsync($"hybrid/{step.Key}");
                    model.Remove(step.Key);
                    break;
                default:
                    await host.RestartAsync();
                    break;
            }
        }

        // What the namespace holds beyond the model has expired.
        var isRight = true;
        for (var key = 0; key < Keys; key++)
        {
            var value = await host.Cache.GetOrCreateAsync<int?>($"{key}", _ => default, new() { Flags = HybridCacheEntryFlags.DisableUnderlyingData });
            isRight &= value == (IsThere(key) ? model[key].Value : null);
        }

        return isRight && host.Internals.Writes.Count == 0 && !host.Log.Warnings.Any();

        bool IsThere(int key) => model.TryGetValue(key, out var entry) && entry.Until > host.Fake.GetUtcNow();

        void Forget(params string[] removed)
        {
            foreach (var (key, entry) in model.ToArray())
            {
                if (entry.Tags.Intersect(removed).Any())
                {
                    model.Remove(key);
                }
            }
        }
    }

    private static HybridCacheEntryOptions Lives(Step step) => new() { Expiration = TimeSpan.FromMilliseconds(step.Milliseconds) };

    private sealed record Step(Kind Kind, int Key, int Tags, int Milliseconds);
}
