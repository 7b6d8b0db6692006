using System.Buffers;
using System.Text;
using KvStore.Distributed;
using Microsoft.Extensions.Caching.Distributed;

namespace KvStore.Caching.Tests.Distributed;

/// <summary>What our cache does beyond the contract of the framework: exceptions, buffers, and what lies in the namespace.</summary>
public sealed class KvDistributedCacheTests
{
    private static readonly byte[] s_value = [1, 2, 3];

    public static TheoryData<bool> Persisted => [false, true];

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(-100_000_000)]
    public async Task Absolute_expiration_that_is_not_in_the_future_is_refused(int milliseconds)
    {
        await using var test = await KvCache.OpenAsync(isPersisted: false);
        var date = test.Now.AddMilliseconds(milliseconds);
        test.Cache.Set("k", s_value, new());

        // As the provider for Redis: its tests look at the name and the value.
        var refusal = FluentActions.Invoking(() => test.Cache.Set("k", [9], new() { AbsoluteExpiration = date })).Should().Throw<ArgumentOutOfRangeException>().Which;
        refusal.ParamName.Should().Be("AbsoluteExpiration");
        refusal.ActualValue.Should().Be(date);
        refusal.Message.Should().StartWith("The absolute expiration value must be in the future.").And.Contain($"{date.UtcDateTime:O}");
        await FluentActions.Awaiting(() => test.Cache.SetAsync("k", [9], new() { AbsoluteExpiration = date, SlidingExpiration = TimeSpan.FromDays(1) }))
            .Should().ThrowAsync<ArgumentOutOfRangeException>();
        FluentActions.Invoking(() => test.Buffers.Set("k", new ReadOnlySequence<byte>(s_value), new() { AbsoluteExpiration = date })).Should().Throw<ArgumentOutOfRangeException>();

        test.Cache.Get("k").Should().Equal(s_value);
        test.Log.Lines.Should().BeEmpty();
    }

    [Fact]
    public async Task Relative_expiration_wins_over_a_date()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: true);
        test.Cache.Set("k", s_value, new() { AbsoluteExpiration = test.Now.AddSeconds(1), AbsoluteExpirationRelativeToNow = TimeSpan.FromSeconds(2) });

        await test.AdvanceAsync(1999);
        test.Cache.Get("k").Should().NotBeNull();
        await test.AdvanceAsync(1);
        test.Cache.Get("k").Should().BeNull();
    }

    [Fact]
    public async Task Longest_spans_of_time_are_for_ever()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: true);
        test.Cache.Set("relative", s_value, new() { AbsoluteExpirationRelativeToNow = TimeSpan.MaxValue });
        test.Cache.Set("sliding", s_value, new() { SlidingExpiration = TimeSpan.MaxValue });
        await test.AdvanceAsync(TimeSpan.FromDays(365 * 1000));
        await test.RestartAsync();

        test.Cache.Get("relative").Should().Equal(s_value);
        test.Cache.Get("sliding").Should().Equal(s_value);
    }

    [Fact]
    public async Task Values_of_callers_are_copied()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: false);
        var value = new byte[] { 1, 2, 3 };
        test.Cache.Set("k", value, new());
        value[0] = 9;
        test.Cache.Get("k")![1] = 9;

        test.Cache.Get("k").Should().Equal(1, 2, 3);
    }

    [Theory]
    [InlineData(false, 0)]
    [InlineData(false, 1000)]
    [InlineData(true, 1000)]
    [InlineData(true, 300_000)]
    public async Task Buffers_are_read_and_written(bool isPersisted, int length)
    {
        await using var test = await KvCache.OpenAsync(isPersisted);
        var value = new byte[length];
        new Random(2).NextBytes(value);
        test.Buffers.Set("sync", Pieces(value), new());
        await test.Buffers.SetAsync("async", Pieces(value), new() { SlidingExpiration = TimeSpan.FromMinutes(1) });
        await test.Buffers.SetAsync("whole", new ReadOnlySequence<byte>(value), new());
        await test.RestartAsync();
        await test.AdvanceAsync(TimeSpan.FromSeconds(59));

        foreach (var key in new[] { "sync", "async", "whole" })
        {
            var buffer = new ArrayBufferWriter<byte>();
            buffer.Write("x"u8);
            test.Buffers.TryGet(key, buffer).Should().BeTrue();
            (await test.Buffers.TryGetAsync(key, buffer)).Should().BeTrue();
            buffer.WrittenSpan.ToArray().Should().Equal([(byte)'x', .. value, .. value]);
        }

        var untouched = new ArrayBufferWriter<byte>();
        test.Buffers.TryGet("missing", untouched).Should().BeFalse();
        (await test.Buffers.TryGetAsync("missing", untouched)).Should().BeFalse();
        untouched.WrittenCount.Should().Be(0);
        FluentActions.Invoking(() => test.Buffers.TryGet("k", null!)).Should().Throw<ArgumentNullException>();
    }

    [Fact]
    public async Task Cancelled_call_changes_nothing()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: true);
        test.Cache.Set("k", s_value, new());
        var cancelled = new CancellationToken(canceled: true);

        await FluentActions.Awaiting(() => test.Cache.GetAsync("k", cancelled)).Should().ThrowAsync<OperationCanceledException>();
        await FluentActions.Awaiting(() => test.Cache.SetAsync("k", [9], new(), cancelled)).Should().ThrowAsync<OperationCanceledException>();
        await FluentActions.Awaiting(() => test.Cache.RemoveAsync("k", cancelled)).Should().ThrowAsync<OperationCanceledException>();
        await FluentActions.Awaiting(() => test.Cache.RefreshAsync("k", cancelled)).Should().ThrowAsync<OperationCanceledException>();
        await FluentActions.Awaiting(() => test.Buffers.TryGetAsync("k", new ArrayBufferWriter<byte>(), cancelled).AsTask()).Should().ThrowAsync<OperationCanceledException>();
        test.Cache.Get("k").Should().Equal(s_value);
        test.Log.Lines.Should().BeEmpty();
    }

    [Theory]
    [MemberData(nameof(Persisted))]
    public async Task Reads_of_values_in_memory_complete_at_once(bool isPersisted)
    {
        await using var test = await KvCache.OpenAsync(isPersisted);
        await test.Cache.SetAsync("k", s_value, new() { SlidingExpiration = TimeSpan.FromMinutes(20) });

        test.Cache.GetAsync("k").IsCompletedSuccessfully.Should().BeTrue();
        test.Cache.RefreshAsync("k").IsCompletedSuccessfully.Should().BeTrue();
    }

    [Fact]
    public async Task Namespace_shows_keys_values_and_expirations_as_they_are()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: false);
        await test.Namespace.PutAsync("application", "1");
        test.Cache.Set("product:1", Encoding.UTF8.GetBytes("{}"), new() { AbsoluteExpirationRelativeToNow = TimeSpan.FromSeconds(90) });
        test.Cache.Set("forever", [], new());
        test.Cache.Set("short", [], new() { AbsoluteExpirationRelativeToNow = TimeSpan.FromMilliseconds(1) });
        test.Cache.Set("slides", [], new() { SlidingExpiration = TimeSpan.FromMilliseconds(2000), AbsoluteExpirationRelativeToNow = TimeSpan.FromHours(1) });

        var page = await test.Namespace.ListAsync();
        page.Keys.Select(key => key.Name).Should().Equal("application", "cache/forever", "cache/product:1", "cache/short", "cache/slides");
        (await test.Namespace.GetTextAsync("cache/product:1")).Should().Be("{}");
        var metadata = page.Keys.ToDictionary(key => key.Name, key => key.Metadata.ToString());
        metadata["cache/forever"].Should().Be("null");
        metadata["cache/product:1"].Should().Be("""{"expires":1764213432321}""");
        metadata["cache/slides"].Should().Be("""{"expires":1764216942321,"set":1764213342321,"sliding":2000}""");
        foreach (var key in page.Keys.Where(key => key.Name.StartsWith("cache/s", StringComparison.Ordinal)))
        {
            key.Expiration.Should().BeCloseTo(test.Now.AddSeconds(60), TimeSpan.FromSeconds(1), "the store takes nothing below a minute");
        }
    }

    [Theory]
    [InlineData("""{"expires":1}""", false)]
    [InlineData("""{"expires":99999999999999}""", true)]
    [InlineData("""{"set":1,"sliding":5}""", false)]
    [InlineData("""{"set":1,"sliding":-5}""", true)]
    [InlineData("""{"expires":"soon"}""", true)]
    [InlineData("""{"expires":1,"more":2}""", true)]
    [InlineData("""["expires"]""", true)]
    [InlineData("1", true)]
    public async Task Entry_of_another_program_is_read_by_its_metadata_if_that_is_ours(string metadata, bool isThere)
    {
        await using var test = await KvCache.OpenAsync(isPersisted: false);
        await test.Namespace.PutAsync("cache/k", "v", new() { Metadata = KvMetadata.FromJson(metadata) });

        (test.Cache.Get("k") is not null).Should().Be(isThere);
    }

    [Fact]
    public async Task Limits_of_the_namespace_need_no_change()
    {
        await using var test = await KvCache.OpenAsync(isPersisted: false, new() { Limits = new() { ExpirationTtlMin = TimeSpan.FromHours(1) } });
        test.Cache.Set("k", s_value, new() { SlidingExpiration = TimeSpan.FromMilliseconds(10) });

        await test.AdvanceAsync(9);
        test.Cache.Get("k").Should().NotBeNull();
        await test.AdvanceAsync(10);
        test.Cache.Get("k").Should().BeNull();
        test.Log.Lines.Should().BeEmpty();
    }

    [Fact]
    public void Expiration_is_read_as_it_was_written()
    {
        foreach (var expiration in new EntryExpiration[] { new(5, 0, 0), new(EntryExpiration.Never, -7, 3), new(long.MaxValue - 1, long.MinValue, long.MaxValue) })
        {
            EntryExpiration.Read(expiration.ToMetadata().Utf8Json.Span).Should().Be(expiration);
            expiration.ToMetadata().Utf8Json.Length.Should().BeLessThanOrEqualTo(EntryExpiration.MetadataBytesMax);
        }
    }

    private static ReadOnlySequence<byte> Pieces(byte[] value)
    {
        var first = new Piece(value.AsMemory(0, value.Length / 3), null);
        var last = new Piece(value.AsMemory(value.Length / 3), new Piece(default, first));
        return new(first, 0, last, last.Memory.Length);
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> memory, Piece? before)
        {
            Memory = memory;
            if (before is not null)
            {
                RunningIndex = before.RunningIndex + before.Memory.Length;
                before.Next = this;
            }
        }
    }
}
