using System.Collections.Concurrent;
using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Caching.Tests.Hybrid;

/// <summary>What every HybridCache does: the same tests for Microsoft's and for that of this package.</summary>
public abstract class HybridCacheContract : IAsyncLifetime
{
    private static readonly HybridCacheEntryFlags[] s_reads =
    [
        HybridCacheEntryFlags.None, HybridCacheEntryFlags.DisableLocalCacheRead, HybridCacheEntryFlags.DisableDistributedCacheRead,
        HybridCacheEntryFlags.DisableLocalCacheRead | HybridCacheEntryFlags.DisableDistributedCacheRead,
    ];

    private static readonly HybridCacheEntryFlags[] s_writes =
    [
        HybridCacheEntryFlags.None, HybridCacheEntryFlags.DisableLocalCacheWrite, HybridCacheEntryFlags.DisableDistributedCacheWrite,
        HybridCacheEntryFlags.DisableLocalCacheWrite | HybridCacheEntryFlags.DisableDistributedCacheWrite,
    ];

    public static TheoryData<HybridCacheEntryFlags, HybridCacheEntryFlags> WritesAndReads
    {
        get
        {
            var all = new TheoryData<HybridCacheEntryFlags, HybridCacheEntryFlags>();
            foreach (var write in s_writes)
            {
                foreach (var read in s_reads)
                {
                    all.Add(write, read);
                }
            }

            return all;
        }
    }

    protected abstract HybridCache Cache { get; }

    protected abstract LogLines Log { get; }

    public virtual Task InitializeAsync() => Task.CompletedTask;

    public abstract Task DisposeAsync();

    [Fact]
    public async Task Factory_is_called_when_the_key_is_missing_and_not_again()
    {
        var calls = 0;
        for (var i = 0; i < 3; i++)
        {
            (await Cache.GetOrCreateAsync("a", _ => new ValueTask<string>($"value {++calls}"))).Should().Be("value 1");
        }
    }

    [Fact]
    public async Task State_is_given_to_the_factory() =>
        (await Cache.GetOrCreateAsync("a", 7, (state, _) => new ValueTask<int>(state * 6))).Should().Be(42);

    [Fact]
    public async Task Key_may_be_a_span_or_an_interpolated_string()
    {
        var id = 5;
        (await Cache.GetOrCreateAsync($"item:{id}", _ => new ValueTask<string>("created"))).Should().Be("created");
        (await Cache.GetOrCreateAsync("item:5 and more".AsSpan(0, 6), _ => new ValueTask<string>("again"))).Should().Be("created");
        (await GetAsync<string>("item:5")).Should().Be("created");
    }

    [Fact]
    public async Task Value_that_is_set_is_returned_and_replaces_the_one_before()
    {
        await Cache.SetAsync("a", "1");
        (await GetAsync<string>("a")).Should().Be("1");
        await Cache.SetAsync("a", "2");
        (await GetAsync<string>("a")).Should().Be("2");
    }

    [Fact]
    public async Task Removed_key_is_created_again()
    {
        await Cache.SetAsync("a", "1");
        await Cache.SetAsync("b", "1");
        await Cache.SetAsync("c", "1");
        await Cache.RemoveAsync("a");
        await Cache.RemoveAsync("never there");
        (await GetAsync<string>("a")).Should().BeNull();
        await Cache.RemoveAsync(["b", "c", "never there"]);
        (await GetAsync<string>("b")).Should().BeNull();
        (await GetAsync<string>("c")).Should().BeNull();
    }

    [Theory]
    [MemberData(nameof(WritesAndReads))]
    public async Task Flags_of_levels_hold_for_a_value_that_is_set(HybridCacheEntryFlags write, HybridCacheEntryFlags read)
    {
        await Cache.SetAsync("a", "1", new() { Flags = write });
        (await GetAsync<string>("a", read)).Should().Be(IsSeen(write, read) ? "1" : null);
    }

    [Theory]
    [MemberData(nameof(WritesAndReads))]
    public async Task Flags_of_levels_hold_for_a_value_that_is_created(HybridCacheEntryFlags write, HybridCacheEntryFlags read)
    {
        (await Cache.GetOrCreateAsync("a", _ => new ValueTask<Basket>(new Basket { Owner = "ada" }), new() { Flags = write })).Owner.Should().Be("ada");
        (await GetAsync<Basket>("a", read))?.Owner.Should().Be(IsSeen(write, read) ? "ada" : null);
    }

    [Fact]
    public async Task Factory_is_not_called_where_that_is_disabled()
    {
        var value = await Cache.GetOrCreateAsync<int>("a", _ => throw new InvalidOperationException("called"), new() { Flags = HybridCacheEntryFlags.DisableUnderlyingData });
        value.Should().Be(0);
        (await Cache.GetOrCreateAsync("a", _ => new ValueTask<int>(1))).Should().Be(1, "a default is not cached");
    }

    [Fact]
    public async Task Compression_may_be_disabled()
    {
        await Cache.SetAsync("a", "1", new() { Flags = HybridCacheEntryFlags.DisableCompression });
        (await GetAsync<string>("a")).Should().Be("1");
    }

    [Fact]
    public async Task Values_of_many_types_are_returned_as_they_were()
    {
        await CheckAsync("text with ä and 🙂");
        await CheckAsync("");
        await CheckAsync(42);
        await CheckAsync((int?)42);
        await CheckAsync(Guid.NewGuid());
        await CheckAsync(new DateTimeOffset(2026, 11, 27, 1, 2, 3, TimeSpan.FromHours(2)));
        await CheckAsync(new Price("book", 10));
        await CheckAsync(new Point(1, 2));
        await CheckAsync(("tuple", 3));
        await CheckAsync<byte[]>([1, 2, 0, 255]);
        await CheckAsync<byte[]>([]);
        await CheckAsync(new Dictionary<string, int> { ["a"] = 1 });
        await CheckAsync(new List<(string Name, int Count)> { ("a", 1) });

        async Task CheckAsync<T>(T value)
        {
            var key = Guid.NewGuid().ToString();
            (await Cache.GetOrCreateAsync(key, _ => new ValueTask<T>(value))).Should().BeEquivalentTo(value);
            (await GetAsync<T>(key)).Should().BeEquivalentTo(value);
            (await GetAsync<T>(key, HybridCacheEntryFlags.DisableLocalCacheRead)).Should().BeEquivalentTo(value);
        }
    }

    [Fact]
    public async Task Immutable_value_is_one_object_for_all_callers()
    {
        var price = new Price("book", 10);
        (await Cache.GetOrCreateAsync("created", _ => new ValueTask<Price>(price))).Should().BeSameAs(price);
        (await GetAsync<Price>("created")).Should().BeSameAs(price);
        await Cache.SetAsync("set", price);
        (await GetAsync<Price>("set")).Should().BeSameAs(price);
        await Cache.SetAsync("text", new string('x', 3));
        (await GetAsync<string>("text")).Should().BeSameAs(await GetAsync<string>("text"));
        await Cache.SetAsync("label", new Label(new string('x', 3)));
        (await GetAsync<Label>("label")).Text.Should().BeSameAs((await GetAsync<Label>("label")).Text);
    }

    [Fact]
    public async Task Mutable_value_is_another_object_for_each_caller()
    {
        await CheckAsync(new Basket { Owner = "ada", Items = { "book" } });
        await CheckAsync(new Undeclared("text"));
        await CheckAsync(new Open("text"));
        await CheckAsync<byte[]>([1, 2, 3]);

        async Task CheckAsync<T>(T value)
            where T : class
        {
            var key = typeof(T).Name;
            var created = await Cache.GetOrCreateAsync(key, _ => new ValueTask<T>(value));
            var first = await GetAsync<T>(key);
            var second = await GetAsync<T>(key);
            first.Should().BeEquivalentTo(value);
            new object?[] { value, created, first, second }.Distinct(ReferenceEqualityComparer.Instance).Should().HaveCount(4);
        }
    }

    [Fact]
    public async Task Change_of_an_object_by_its_caller_does_not_change_the_cache()
    {
        await Cache.SetAsync("a", new Basket { Owner = "ada", Items = { "book" } });
        (await GetAsync<Basket>("a"))!.Items.Clear();
        (await GetAsync<Basket>("a"))!.Items.Should().Equal("book");
    }

    [Fact]
    public async Task Callers_at_the_same_time_share_one_factory()
    {
        var calls = 0;
        var finish = new TaskCompletionSource();
        var callers = Enumerable.Range(0, 50).Select(_ => Cache.GetOrCreateAsync("a", async _ =>
        {
            Interlocked.Increment(ref calls);
            await finish.Task;
            return new Basket { Owner = "ada" };
        }).AsTask()).ToArray();
        finish.SetResult();

        var baskets = await Task.WhenAll(callers);
        calls.Should().Be(1);
        baskets.Should().OnlyContain(basket => basket.Owner == "ada").And.OnlyHaveUniqueItems("each may change its own");
    }

    [Fact]
    public async Task Cancelled_caller_does_not_cancel_the_others()
    {
        using var cancellation = new CancellationTokenSource();
        using var other = new CancellationTokenSource();
        var finish = new TaskCompletionSource();
        var started = new TaskCompletionSource<CancellationToken>();
        var first = Cache.GetOrCreateAsync("a", Factory, cancellationToken: cancellation.Token).AsTask();
        var token = await started.Task;
        var second = Cache.GetOrCreateAsync("a", Factory, cancellationToken: other.Token).AsTask();
        await cancellation.CancelAsync();

        await FluentActions.Awaiting(() => first).Should().ThrowAsync<OperationCanceledException>();
        token.IsCancellationRequested.Should().BeFalse();
        finish.SetResult();
        (await second).Should().Be("created");

        async ValueTask<string> Factory(CancellationToken cancellationToken)
        {
            started.SetResult(cancellationToken);
            await finish.Task;
            return "created";
        }
    }

    [Fact]
    public async Task Factory_is_cancelled_when_all_callers_have_left()
    {
        using var cancellation = new CancellationTokenSource();
        var started = new ConcurrentQueue<TaskCompletionSource>([new()]);
        var cancelled = new TaskCompletionSource();
        var callers = Enumerable.Range(0, 3).Select(_ => Cache.GetOrCreateAsync("a", FactoryAsync, cancellationToken: cancellation.Token).AsTask()).ToArray();
        await started.First().Task;
        await cancellation.CancelAsync();

        foreach (var caller in callers)
        {
            await FluentActions.Awaiting(() => caller).Should().ThrowAsync<OperationCanceledException>();
        }

        await cancelled.Task;
        (await Cache.GetOrCreateAsync("a", _ => new ValueTask<string>("created"))).Should().Be("created", "a later caller begins anew");

        async ValueTask<string> FactoryAsync(CancellationToken cancellationToken)
        {
            started.First().TrySetResult();
            try
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }
            finally
            {
                cancelled.TrySetResult();
            }

            return "never";
        }
    }

    [Fact]
    public async Task Factory_of_a_caller_who_cannot_be_cancelled_goes_on()
    {
        using var cancellation = new CancellationTokenSource();
        var finish = new TaskCompletionSource();
        var first = Cache.GetOrCreateAsync("a", async _ =>
        {
            await finish.Task;
            return "created";
        }).AsTask();
        var second = Cache.GetOrCreateAsync<string>("a", _ => throw new InvalidOperationException(), cancellationToken: cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await FluentActions.Awaiting(() => second).Should().ThrowAsync<OperationCanceledException>();
        finish.SetResult();
        (await first).Should().Be("created");
    }

    [Fact]
    public async Task Cancelled_token_is_refused_before_anything_happens()
    {
        await Cache.SetAsync("a", "1");
        await FluentActions.Awaiting(async () => await Cache.GetOrCreateAsync("a", _ => new ValueTask<string>("2"), cancellationToken: new CancellationToken(canceled: true)))
            .Should().ThrowAsync<OperationCanceledException>();
    }

    [Fact]
    public async Task Failure_of_the_factory_goes_to_all_callers_and_is_not_cached()
    {
        var finish = new TaskCompletionSource();
        var callers = Enumerable.Range(0, 3).Select(_ => Cache.GetOrCreateAsync<string>("a", async _ =>
        {
            await finish.Task;
            throw new InvalidOperationException("no value");
        }).AsTask()).ToArray();
        finish.SetResult();
        foreach (var caller in callers)
        {
            await FluentActions.Awaiting(() => caller).Should().ThrowAsync<InvalidOperationException>().WithMessage("no value");
        }

        (await Cache.GetOrCreateAsync("a", _ => new ValueTask<string>("created"))).Should().Be("created");
    }

    [Fact]
    public async Task Factory_that_throws_at_once_fails_its_caller() =>
        await FluentActions.Awaiting(async () => await Cache.GetOrCreateAsync<string>("a", _ => throw new InvalidOperationException("no value")))
            .Should().ThrowAsync<InvalidOperationException>().WithMessage("no value");

    [Fact]
    public async Task Key_that_is_being_created_as_another_type_is_refused()
    {
        var finish = new TaskCompletionSource();
        var first = Cache.GetOrCreateAsync("a", async _ =>
        {
            await finish.Task;
            return "text";
        }).AsTask();
        await FluentActions.Awaiting(async () => await Cache.GetOrCreateAsync("a", _ => new ValueTask<int>(1))).Should().ThrowAsync<InvalidOperationException>();
        finish.SetResult();
        (await first).Should().Be("text");
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(" \t")]
    [InlineData("a\u0001")]
    public async Task Key_that_is_not_valid_is_logged_and_not_cached(string? key)
    {
        var calls = 0;
        await Cache.GetOrCreateAsync(key!, _ => new ValueTask<int>(++calls));
        await Cache.GetOrCreateAsync(key!, _ => new ValueTask<int>(++calls));
        calls.Should().Be(2);
        Log.Lines.Should().Contain(line => line.StartsWith("Error", StringComparison.Ordinal));
        (await Cache.GetOrCreateAsync(key!, _ => new ValueTask<int>(1), new() { Flags = HybridCacheEntryFlags.DisableUnderlyingData })).Should().Be(0);
    }

    [Theory]
    [InlineData(true, '\uD800')]
    [InlineData(true, '\uDC00')]
    [InlineData(false, '\uD800')]
    public async Task Key_or_tag_that_is_not_unicode_is_logged_and_its_value_returned(bool isKey, char half)
    {
        // Made here, because texts of a theory become Unicode on their way.
        var (key, tag) = isKey ? ($"a{half}b", "tag") : ("key", $"a{half}b");
        (await Cache.GetOrCreateAsync(key, _ => new ValueTask<int>(1), tags: ["ok", tag])).Should().Be(1);
        Log.Lines.Should().Contain(line => line.StartsWith("Error", StringComparison.Ordinal));
        await Cache.SetAsync(key, 2, tags: ["ok", tag]);
        await Cache.RemoveByTagAsync(tag);
        await Cache.RemoveAsync(key);
    }

    [Fact]
    public async Task Key_of_1024_characters_is_cached_and_a_longer_one_is_logged()
    {
        var calls = 0;
        await Cache.GetOrCreateAsync(new string('k', 1024), _ => new ValueTask<int>(++calls));
        await Cache.GetOrCreateAsync(new string('k', 1024), _ => new ValueTask<int>(++calls));
        calls.Should().Be(1);
        Log.Warnings.Should().BeEmpty();
        await Cache.GetOrCreateAsync(new string('k', 1025), _ => new ValueTask<int>(++calls));
        await Cache.GetOrCreateAsync(new string('k', 1025), _ => new ValueTask<int>(++calls));
        calls.Should().Be(3);
        Log.Warnings.Should().Contain(line => line.Contains("1025", StringComparison.Ordinal) && line.Contains("1024", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("*")]
    [InlineData("")]
    [InlineData("  ")]
    [InlineData(null)]
    public async Task Tag_of_an_entry_that_is_not_valid_is_refused(string? tag)
    {
        await FluentActions.Awaiting(async () => await Cache.GetOrCreateAsync("a", _ => new ValueTask<int>(1), tags: ["ok", tag!])).Should().ThrowAsync<ArgumentException>();
        await FluentActions.Awaiting(async () => await Cache.SetAsync("a", 1, tags: [tag!])).Should().ThrowAsync<ArgumentException>();
    }

    [Fact]
    public async Task Removal_by_tag_removes_the_tagged_and_no_others()
    {
        await FillAsync();
        await Cache.RemoveByTagAsync("even");
        (await LeftAsync()).Should().Equal("1", "3", "5", "7", "9", "untagged");
        await Cache.RemoveByTagAsync("never used");
        await Cache.RemoveByTagAsync("");
        (await LeftAsync()).Should().Equal("1", "3", "5", "7", "9", "untagged");
    }

    [Fact]
    public async Task Removal_by_several_tags_removes_what_has_one_of_them()
    {
        await FillAsync();
        await Cache.RemoveByTagAsync(["third", "even"]);
        (await LeftAsync()).Should().Equal("1", "5", "7", "untagged");
    }

    [Fact]
    public async Task Removal_by_the_tag_of_all_removes_everything()
    {
        await FillAsync();
        await Cache.RemoveByTagAsync("*");
        (await LeftAsync()).Should().BeEmpty();
        await FillAsync();
        (await LeftAsync()).Should().HaveCount(11);
    }

    [Fact]
    public async Task Entry_that_is_written_after_a_removal_by_its_tag_stays()
    {
        await Cache.SetAsync("a", 1, tags: ["t"]);
        await Cache.RemoveByTagAsync("t");
        await Cache.SetAsync("a", 2, tags: ["t"]);
        (await GetAsync<int?>("a")).Should().Be(2);
    }

    [Fact]
    public async Task Tags_follow_the_entry_when_it_is_replaced()
    {
        await Cache.SetAsync("a", 1, tags: ["old"]);
        await Cache.SetAsync("a", 2, tags: ["new"]);
        await Cache.RemoveByTagAsync("old");
        (await GetAsync<int?>("a")).Should().Be(2);
        await Cache.RemoveByTagAsync("new");
        (await GetAsync<int?>("a")).Should().BeNull();
    }

    protected ValueTask<T?> GetAsync<T>(string key, HybridCacheEntryFlags flags = HybridCacheEntryFlags.None) => Cache.GetOrCreateAsync<T?>(
        key,
        _ => throw new InvalidOperationException("called"),
        new() { Flags = flags | HybridCacheEntryFlags.DisableUnderlyingData | HybridCacheEntryFlags.DisableLocalCacheWrite | HybridCacheEntryFlags.DisableDistributedCacheWrite });

    private static bool IsSeen(HybridCacheEntryFlags write, HybridCacheEntryFlags read) =>
        (!write.HasFlag(HybridCacheEntryFlags.DisableLocalCacheWrite) && !read.HasFlag(HybridCacheEntryFlags.DisableLocalCacheRead))
        || (!write.HasFlag(HybridCacheEntryFlags.DisableDistributedCacheWrite) && !read.HasFlag(HybridCacheEntryFlags.DisableDistributedCacheRead));

    private async Task FillAsync()
    {
        for (var i = 0; i < 10; i++)
        {
            string[] tags = [.. new[] { i % 2 == 0 ? "even" : null, i % 3 == 0 ? "third" : null, "number" }.OfType<string>()];
            await Cache.SetAsync($"{i}", i, tags: tags);
        }

        await Cache.SetAsync("untagged", 0);
    }

    private async Task<List<string>> LeftAsync()
    {
        var left = new List<string>();
        foreach (var key in Enumerable.Range(0, 10).Select(i => $"{i}").Append("untagged"))
        {
            if (await GetAsync<int?>(key) is not null)
            {
                left.Add(key);
            }
        }

        return left;
    }
}
