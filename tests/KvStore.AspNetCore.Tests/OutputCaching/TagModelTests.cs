using FsCheck;
using FsCheck.Fluent;
using KvStore.AspNetCore.Tests.Adapters;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.AspNetCore.Tests.OutputCaching;

/// <summary>Any sequence of operations leaves the pages that a model has, whose every page carries its tags and its end.</summary>
public sealed class TagModelTests : PagesTest
{
    private const int Keys = 5;

    private static readonly string[] s_tags = ["a", "b", "c", "", "\ud800", new string('l', 600)];

    public enum Kind
    {
        Set,
        Evict,
        Pass,
        Delete,
        Restart,
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Any_sequence_leaves_the_pages_of_the_model(bool persisted)
    {
        var sequences = Gen.Choose(1, 40).SelectMany(length => Gen.ArrayOf(Operations(persisted), length));

        Prop.ForAll(Arb.From(sequences, Shorter), operations => RunAsync(operations, persisted, change: null).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(persisted ? 40 : 300));
    }

    [Fact]
    public void Any_sequence_that_fills_the_memory_leaves_no_page_that_the_model_has_not()
    {
        var sequences = Gen.Choose(100, 200).SelectMany(length => Gen.ArrayOf(Operations(restarts: false), length));

        Prop.ForAll(
                Arb.From(sequences, Shorter),
                operations => RunAsync(
                    operations, persisted: false, options => options with { Memory = new() { BytesMax = 1 << 20, WhenFull = KvMemoryPolicy.Evict } }).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(20));
    }

    private static Gen<Operation> Operations(bool restarts) =>
        from kind in Gen.Frequency(
            (8, Gen.Constant(Kind.Set)), (4, Gen.Constant(Kind.Evict)), (3, Gen.Constant(Kind.Pass)), (1, Gen.Constant(Kind.Delete)), (restarts ? 1 : 0, Gen.Constant(Kind.Restart)))
        from key in Gen.Choose(0, Keys - 1)
        from tags in Gen.SubListOf(s_tags)
        from milliseconds in Gen.Choose(1, 100_000)
        select new Operation(kind, key, [.. tags], milliseconds);

    private static IEnumerable<Operation[]> Shorter(Operation[] operations)
    {
        for (var length = operations.Length / 2; length > 0; length /= 2)
        {
            for (var start = 0; start + length <= operations.Length; start += length)
            {
                yield return [.. operations[..start], .. operations[(start + length)..]];
            }
        }
    }

    private async Task RunAsync(Operation[] operations, bool persisted, Func<KvNamespaceOptions, KvNamespaceOptions>? change)
    {
        using var storage = Storage.Of(persisted);
        var services = ServicesOn(storage, change, persistence: new() { Durability = Durability.Buffered });
        var model = new Dictionary<int, (string Value, string[] Tags, DateTimeOffset End)>();
        var value = 0;
        foreach (var operation in operations)
        {
            var store = StoreIn(services);
            switch (operation.Kind)
            {
                case Kind.Set:
                    var page = $"{value++}|{new string('v', change is null ? operation.Milliseconds % 100 : 30_000)}";
                    await store.SetAsync($"k{operation.Key}", page, TimeSpan.FromMilliseconds(operation.Milliseconds), operation.Tags);
                    model[operation.Key] = (page, operation.Tags, Time.GetUtcNow().AddMilliseconds(operation.Milliseconds));
                    break;
                case Kind.Evict:
                    var tag = operation.Tags.FirstOrDefault("a");
                    await store.EvictAsync(tag);
                    foreach (var (key, present) in model.ToArray())
                    {
                        if (present.Tags.Contains(tag))
                        {
                            model.Remove(key);
                        }
                    }

                    break;
                case Kind.Pass:
                    Time.Advance(TimeSpan.FromMilliseconds(operation.Milliseconds));
                    break;
                case Kind.Delete:
                    await NamespaceIn(services).DeleteAsync($"pages/k{operation.Key}");
                    model.Remove(operation.Key);
                    break;
                default:
                    await services.DisposeAsync();
                    services = ServicesOn(storage, change, persistence: new() { Durability = Durability.Buffered });
                    break;
            }

            await CompareAsync(StoreIn(services), model, mayBeGone: change is not null);
        }

        foreach (var tag in s_tags)
        {
            await StoreIn(services).EvictAsync(tag);
        }

        await EventuallyAsync(() => IndexIn(services).Count == (0, 0), "no tag is left");
        await services.DisposeAsync();
    }

    private async Task CompareAsync(IOutputCacheStore store, Dictionary<int, (string Value, string[] Tags, DateTimeOffset End)> model, bool mayBeGone)
    {
        for (var key = 0; key < Keys; key++)
        {
            var expected = model.TryGetValue(key, out var page) && page.End > Time.GetUtcNow() ? page.Value : null;
            var found = await store.GetAsync($"k{key}");
            if (found is not null || !mayBeGone)
            {
                found.Should().Be(expected, $"that is the page of k{key}");
            }
        }
    }

    public sealed record Operation(Kind Kind, int Key, string[] Tags, int Milliseconds)
    {
        public override string ToString() => $"{Kind} k{Key} [{string.Join(',', Tags.Select(tag => Array.IndexOf(s_tags, tag)))}] {Milliseconds}";
    }
}
