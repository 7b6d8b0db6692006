using System.IO.Pipelines;

namespace KvStore.Contract;

/// <summary>Calls that are cancelled, and calls that are made at once.</summary>
public abstract partial class KvNamespaceContract
{
    [Fact]
    public async Task A_call_that_is_cancelled_already_does_nothing()
    {
        await Kv.PutAsync("k", "old");
        var cancelled = new CancellationToken(canceled: true);
        Func<Task>[] calls =
        [
            () => Kv.GetAsync("k", null, cancelled).AsTask(),
            () => Kv.GetTextAsync("k", null, cancelled).AsTask(),
            () => Kv.GetManyAsync(["k"], null, cancelled).AsTask(),
            () => Kv.PutAsync("k", "new", null, cancelled).AsTask(),
            () => Kv.PutAsync("k", new MemoryStream([1]), null, cancelled).AsTask(),
            () => Kv.DeleteAsync("k", cancelled).AsTask(),
            () => Kv.ListAsync(null, cancelled).AsTask(),
            async () => await Kv.ListAllAsync(null, cancelled).GetAsyncEnumerator(cancelled).MoveNextAsync(),
        ];

        foreach (var call in calls)
        {
            await call.Should().ThrowAsync<OperationCanceledException>();
        }

        (await Kv.GetTextAsync("k")).Should().Be("old");
        (await Names()).Should().Equal("k");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_put_that_is_cancelled_while_it_waits_for_its_source_leaves_nothing_behind(bool isStream)
    {
        await Kv.PutAsync("k", "old");
        var pipe = new Pipe();
        using var cancellation = new CancellationTokenSource();
        KvContent content = isStream ? pipe.Reader.AsStream(leaveOpen: true) : pipe.Reader;

        var put = Kv.PutAsync("k", content, options: null, cancellation.Token).AsTask();
        await pipe.Writer.WriteAsync(Noise(1000));
        await cancellation.CancelAsync();

        await FluentActions.Awaiting(() => put).Should().ThrowAsync<OperationCanceledException>();
        (await Kv.GetTextAsync("k")).Should().Be("old");
        await ShouldStillWork();
    }

    [Fact]
    public async Task Calls_may_be_made_from_many_threads_at_once()
    {
        var keys = Enumerable.Range(0, 400).Select(i => $"k{i:D3}").ToArray();

        await AtOnce(keys, async key =>
        {
            await Kv.PutAsync(key, "first", new KvPutOptions { Metadata = KvMetadata.FromJson("1") });
            (await Kv.GetTextAsync(key)).Should().Be("first", "what was put is read");
            await Kv.PutAsync(key, new MemoryStream("second"u8.ToArray()));
            (await Kv.GetTextAsync(key)).Should().Be("second");
            (await Names(key)).Should().Equal(key);
            if (key[^1] is '0' or '5')
            {
                await Kv.DeleteAsync(key);
                (await Kv.GetManyAsync([key]))[key].Exists.Should().BeFalse();
                (await Names(key)).Should().BeEmpty();
            }
        });

        (await Names()).Should().Equal(keys.Where(key => key[^1] is not ('0' or '5')));
    }

    [Fact]
    public async Task Of_puts_to_one_key_at_once_one_wins_with_all_that_belongs_to_it()
    {
        await AtOnce(Enumerable.Range(0, 200), async i =>
        {
            await Kv.PutAsync("k", new string((char)('a' + (i % 20)), 1 + i), new KvPutOptions { Metadata = KvMetadata.FromJson($"{i}") });
            var entry = ReadsValueAndMetadataAtOnce ? await Kv.GetAsync("k") : (await Kv.GetManyAsync(["k"]))["k"];
            var winner = entry.Metadata.As<int>();
            entry.GetText().Should().Be(new string((char)('a' + (winner % 20)), 1 + winner));
        });

        (await Names()).Should().Equal("k");
    }

    [Fact]
    public async Task The_name_is_there()
    {
        await ShouldStillWork();

        Kv.Name.Should().NotBeNullOrWhiteSpace();
    }

    private static Task AtOnce<T>(IEnumerable<T> items, Func<T, Task> call) => Parallel.ForEachAsync(
        items, new ParallelOptions { MaxDegreeOfParallelism = 8 }, (item, _) => new ValueTask(call(item)));
}
