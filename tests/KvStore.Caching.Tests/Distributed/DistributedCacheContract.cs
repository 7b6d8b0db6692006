using System.Text;
using Microsoft.Extensions.Caching.Distributed;

namespace KvStore.Caching.Tests.Distributed;

/// <summary>
/// What every distributed cache does, run on the framework's own cache and on ours: in memory and on a disk, with a restart in the middle.
/// </summary>
public abstract class DistributedCacheContract : IAsyncLifetime
{
    private static readonly byte[] s_value = [1, 2, 3];

    private CacheUnderTest _test = null!;

    protected IDistributedCache Cache => _test.Cache;

    public async Task InitializeAsync() => _test = await OpenAsync();

    public async Task DisposeAsync() => await _test.DisposeAsync();

    [Fact]
    public async Task Missing_key_has_no_value()
    {
        Cache.Get("missing").Should().BeNull();
        (await Cache.GetAsync("missing")).Should().BeNull();
        Cache.Refresh("missing");
        await Cache.RefreshAsync("missing");
        Cache.Remove("missing");
        await Cache.RemoveAsync("missing");
        Cache.Get("missing").Should().BeNull();
    }

    [Fact]
    public async Task Value_is_returned_as_it_was_set()
    {
        var value = new byte[] { 0, 255, 1 };
        Cache.Set("sync", value, new());
        await Cache.SetAsync("async", value, new());
        await _test.RestartAsync();

        foreach (var key in new[] { "sync", "async" })
        {
            Cache.Get(key).Should().Equal(0, 255, 1);
            (await Cache.GetAsync(key)).Should().Equal(0, 255, 1);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(300_000)]
    public async Task Value_of_any_length_is_kept(int length)
    {
        var value = new byte[length];
        new Random(1).NextBytes(value);
        await Cache.SetAsync("k", value, new() { SlidingExpiration = TimeSpan.FromMinutes(1) });
        await _test.RestartAsync();

        Cache.Get("k").Should().Equal(value);
        (await Cache.GetAsync("k")).Should().Equal(value);
    }

    [Fact]
    public async Task Empty_value_is_not_a_missing_one()
    {
        Cache.Set("k", [], new());
        await _test.RestartAsync();

        Cache.Get("k").Should().NotBeNull().And.BeEmpty();
        (await Cache.GetAsync("k")).Should().NotBeNull().And.BeEmpty();
    }

    [Fact]
    public async Task Null_arguments_are_refused()
    {
        FluentActions.Invoking(() => Cache.Get(null!)).Should().Throw<ArgumentNullException>().WithParameterName("key");
        FluentActions.Invoking(() => Cache.Set(null!, s_value, new())).Should().Throw<ArgumentNullException>().WithParameterName("key");
        FluentActions.Invoking(() => Cache.Set("k", null!, new())).Should().Throw<ArgumentNullException>().WithParameterName("value");
        FluentActions.Invoking(() => Cache.Set("k", s_value, null!)).Should().Throw<ArgumentNullException>().WithParameterName("options");
        FluentActions.Invoking(() => Cache.Refresh(null!)).Should().Throw<ArgumentNullException>().WithParameterName("key");
        FluentActions.Invoking(() => Cache.Remove(null!)).Should().Throw<ArgumentNullException>().WithParameterName("key");
        await FluentActions.Awaiting(() => Cache.GetAsync(null!)).Should().ThrowAsync<ArgumentNullException>();
        await FluentActions.Awaiting(() => Cache.SetAsync(null!, s_value, new())).Should().ThrowAsync<ArgumentNullException>();
        await FluentActions.Awaiting(() => Cache.SetAsync("k", null!, new())).Should().ThrowAsync<ArgumentNullException>();
        await FluentActions.Awaiting(() => Cache.SetAsync("k", s_value, null!)).Should().ThrowAsync<ArgumentNullException>();
        await FluentActions.Awaiting(() => Cache.RefreshAsync(null!)).Should().ThrowAsync<ArgumentNullException>();
        await FluentActions.Awaiting(() => Cache.RemoveAsync(null!)).Should().ThrowAsync<ArgumentNullException>();
        Cache.Get("k").Should().BeNull("nothing was set");
    }

    [Fact]
    public async Task Expiration_that_is_not_positive_is_refused()
    {
        foreach (var time in new[] { TimeSpan.Zero, TimeSpan.FromTicks(-1), TimeSpan.MinValue })
        {
            FluentActions.Invoking(() => Cache.Set("k", s_value, new() { AbsoluteExpirationRelativeToNow = time })).Should().Throw<ArgumentOutOfRangeException>();
            FluentActions.Invoking(() => Cache.Set("k", s_value, new() { SlidingExpiration = time })).Should().Throw<ArgumentOutOfRangeException>();
        }

        (await Cache.GetAsync("k")).Should().BeNull();
    }

    [Fact]
    public async Task Keys_of_any_kind_and_length_are_kept_apart()
    {
        string[] keys =
        [
            "", ".", "..", "a", "A", " ", "a ", "a/b", "/", "\0", "\n", "~", "~~", "~sha256/", "cache/", "cache/a", "é", "e\u0301", "😀", "\uD83D", "a\uDE00b",
            new('k', 505), new('k', 506), new('k', 507), new('k', 512), new('k', 1024), new('k', 1025), new('é', 300), new('~', 1024), new('k', 100_000),
        ];
        foreach (var key in keys)
        {
            Cache.Set(key, Encoding.UTF32.GetBytes($"value of {key.Length} {key.GetHashCode(StringComparison.Ordinal)}"), new());
        }

        await _test.RestartAsync();

        foreach (var key in keys)
        {
            (await Cache.GetAsync(key)).Should().Equal(Encoding.UTF32.GetBytes($"value of {key.Length} {key.GetHashCode(StringComparison.Ordinal)}"), "it is the value of {0}", key.Length > 20 ? $"{key.Length} characters" : key);
        }

        foreach (var key in keys)
        {
            Cache.Remove(key);
            Cache.Get(key).Should().BeNull();
        }
    }

    [Fact]
    public async Task Value_and_expirations_are_replaced_together()
    {
        await Cache.SetAsync("k", [1], new() { AbsoluteExpirationRelativeToNow = TimeSpan.FromSeconds(10), SlidingExpiration = TimeSpan.FromSeconds(5) });
        await Cache.SetAsync("k", [2], new());
        await _test.RestartAsync();
        await _test.AdvanceAsync(TimeSpan.FromDays(1000));

        (await Cache.GetAsync("k")).Should().Equal(2);

        await Cache.SetAsync("k", [3], new() { SlidingExpiration = TimeSpan.FromSeconds(5) });
        await _test.AdvanceAsync(TimeSpan.FromSeconds(5));
        (await Cache.GetAsync("k")).Should().BeNull();
    }

    [Fact]
    public async Task Removed_entry_is_gone_and_can_be_set_again()
    {
        await Cache.SetAsync("k", [1], new() { SlidingExpiration = TimeSpan.FromMinutes(1) });
        (await Cache.GetAsync("k")).Should().Equal(1);
        await Cache.RemoveAsync("k");
        (await Cache.GetAsync("k")).Should().BeNull();
        await _test.RestartAsync();
        (await Cache.GetAsync("k")).Should().BeNull();

        await Cache.SetAsync("k", [2], new());
        (await Cache.GetAsync("k")).Should().Equal(2);
        Cache.Remove("k");
        Cache.Get("k").Should().BeNull();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(250)]
    [InlineData(1500)]
    [InlineData(59_999)]
    [InlineData(60_000)]
    [InlineData(3_600_001)]
    public async Task Absolute_expiration_is_exact_to_the_millisecond(int milliseconds)
    {
        var time = TimeSpan.FromMilliseconds(milliseconds);
        await Cache.SetAsync("date", s_value, new() { AbsoluteExpiration = _test.Now + time });
        await Cache.SetAsync("zone", s_value, new() { AbsoluteExpiration = (_test.Now + time).ToOffset(TimeSpan.FromHours(-7)) });
        await Cache.SetAsync("relative", s_value, new() { AbsoluteExpirationRelativeToNow = time });
        string[] keys = ["date", "zone", "relative"];
        await _test.AdvanceAsync(milliseconds - 1);
        await _test.RestartAsync();

        keys.Should().OnlyContain(key => Cache.Get(key) != null);
        await _test.AdvanceAsync(1);
        keys.Should().OnlyContain(key => Cache.Get(key) == null);
        await _test.RestartAsync();
        keys.Should().OnlyContain(key => Cache.Get(key) == null);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(250)]
    [InlineData(1500)]
    [InlineData(59_999)]
    [InlineData(60_001)]
    [InlineData(1_200_000)]
    public async Task Sliding_expiration_begins_anew_with_each_use(int milliseconds)
    {
        var options = new DistributedCacheEntryOptions { SlidingExpiration = TimeSpan.FromMilliseconds(milliseconds) };
        Action<string>[] uses =
        [
            key => Cache.Get(key).Should().Equal(s_value),
            key => Cache.Refresh(key),
        ];
        Func<string, Task>[] asynchronousUses =
        [
            async key => (await Cache.GetAsync(key)).Should().Equal(s_value),
            key => Cache.RefreshAsync(key),
        ];
        string[] keys = ["0", "1", "2", "3"];
        foreach (var key in keys)
        {
            Cache.Set(key, s_value, options);
        }

        for (var i = 0; i < 40; i++)
        {
            await _test.AdvanceAsync(milliseconds - 1);
            if (i == 20)
            {
                await _test.RestartAsync();
            }

            for (var use = 0; use < 2; use++)
            {
                uses[use](keys[use]);
                await asynchronousUses[use](keys[2 + use]);
            }
        }

        await _test.RestartAsync();
        await _test.AdvanceAsync(milliseconds - 1);
        keys.Should().OnlyContain(key => Cache.Get(key) != null);
        await _test.AdvanceAsync(milliseconds);
        keys.Should().OnlyContain(key => Cache.Get(key) == null);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(20_000)]
    [InlineData(600_000)]
    public async Task Sliding_expiration_never_goes_beyond_the_absolute_one(int window)
    {
        await Cache.SetAsync("k", s_value, new()
        {
            SlidingExpiration = TimeSpan.FromMilliseconds(window),
            AbsoluteExpirationRelativeToNow = TimeSpan.FromMilliseconds(2.5 * window),
        });
        for (var i = 0; i < 4; i++)
        {
            await _test.AdvanceAsync(window / 2);
            (await Cache.GetAsync("k")).Should().NotBeNull();
        }

        await _test.RestartAsync();
        await _test.AdvanceAsync((window / 2) - 1);
        (await Cache.GetAsync("k")).Should().NotBeNull();
        await _test.AdvanceAsync(1);
        (await Cache.GetAsync("k")).Should().BeNull();
    }

    [Fact]
    public async Task Entry_without_an_expiration_stays()
    {
        await Cache.SetAsync("k", s_value, new());
        await _test.AdvanceAsync(TimeSpan.FromDays(100_000));
        (await Cache.GetAsync("k")).Should().Equal(s_value);
    }

    [Fact]
    public async Task Latest_date_is_an_expiration_that_never_comes()
    {
        await Cache.SetAsync("date", s_value, new() { AbsoluteExpiration = DateTimeOffset.MaxValue });
        await Cache.SetAsync("years", s_value, new() { AbsoluteExpirationRelativeToNow = TimeSpan.FromDays(365 * 500) });
        await Cache.SetAsync("sliding", s_value, new() { SlidingExpiration = TimeSpan.FromDays(365) });
        await _test.RestartAsync();
        await _test.AdvanceAsync(TimeSpan.FromDays(364));
        await _test.RestartAsync();

        foreach (var key in new[] { "date", "years", "sliding" })
        {
            (await Cache.GetAsync(key)).Should().Equal(s_value, key);
        }
    }

    protected abstract Task<CacheUnderTest> OpenAsync();
}

/// <summary>The framework's cache in memory: what these tests demand is what it does.</summary>
public sealed class FrameworkCacheContractTests : DistributedCacheContract
{
    protected override Task<CacheUnderTest> OpenAsync() => Task.FromResult<CacheUnderTest>(new FrameworkCache());
}

/// <summary>Our cache in a namespace in memory.</summary>
public sealed class MemoryCacheContractTests : DistributedCacheContract
{
    protected override async Task<CacheUnderTest> OpenAsync() => await KvCache.OpenAsync(isPersisted: false);
}

/// <summary>Our cache in a namespace on a disk.</summary>
public sealed class PersistedCacheContractTests : DistributedCacheContract
{
    protected override async Task<CacheUnderTest> OpenAsync() => await KvCache.OpenAsync(isPersisted: true);
}
