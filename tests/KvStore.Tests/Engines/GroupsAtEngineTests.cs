using System.Collections.Concurrent;
using System.Globalization;

namespace KvStore.Tests.Engines;

/// <summary>Calls that write many entries at an engine outside the process, and what mutations of other processes cost in memory.</summary>
public sealed class GroupsAtEngineTests
{
    private const int Group = 16 * 1024;
    private const int Entries = 3 * Group;

    [Fact]
    public async Task Next_group_is_sent_before_the_first_is_committed_and_no_more()
    {
        var engine = new HeldEngine();
        await using var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions { Engine = engine });
        var put = kv.PutManyAsync(EntriesOf("v")).AsTask();
        engine.Waiting.Count.Should().Be(2 * Group);

        engine.Commit(Group);
        await Until(() => engine.Waiting.Count == 2 * Group);
        kv.Count.Should().Be(Group);
        engine.Commit(2 * Group);
        await put;
        kv.Count.Should().Be(Entries);
        kv.TryGet("000000", out var first).Should().BeTrue();
        kv.TryGet((Entries - 1).ToString("D6", CultureInfo.InvariantCulture), out var last).Should().BeTrue();
        last.Revision.Should().Be(first.Revision + Entries - 1);
    }

    [Fact]
    public async Task Failure_names_the_first_entry_that_failed_and_ends_the_call()
    {
        var engine = new HeldEngine();
        await using var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions { Engine = engine });
        var put = kv.PutManyAsync(EntriesOf("v")).AsTask();
        engine.Commit(100);
        engine.Fail(2 * Group - 100);

        (await put.Invoking(static put => put).Should().ThrowAsync<KvPersistenceException>())
            .WithMessage($"*000100*100 of {Entries.ToString(CultureInfo.InvariantCulture)}*");
        engine.Waiting.Should().BeEmpty("nothing is written after a failure");
        kv.Count.Should().Be(100);
    }

    [Fact]
    public async Task Write_that_is_called_during_the_call_is_the_later_one()
    {
        var engine = new HeldEngine();
        await using var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions { Engine = engine });
        var put = kv.PutManyAsync(EntriesOf("many")).AsTask();
        var late = kv.PutAsync((Entries - 1).ToString("D6", CultureInfo.InvariantCulture), "late").AsTask();
        while (!put.IsCompleted || !late.IsCompleted)
        {
            engine.Commit(1000);
            await Task.Yield();
        }

        await Task.WhenAll(put, late);
        (await kv.GetTextAsync((Entries - 1).ToString("D6", CultureInfo.InvariantCulture))).Should().Be("late");
        kv.Count.Should().Be(Entries);
    }

    [Fact]
    public async Task Single_mutations_of_other_processes_take_no_segment_each()
    {
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        for (var i = 0; i < 10_000; i++)
        {
            engine.Host.Apply(engine.Put(i.ToString("D6", CultureInfo.InvariantCulture), new string('v', 1000)));
        }

        engine.Host.Publish();
        var before = kv.MemoryBytes;
        for (var i = 0; i < 200; i++)
        {
            engine.Host.Apply(engine.Put("key", "v"));
            engine.Host.Publish();
        }

        (kv.MemoryBytes - before).Should().BeLessThan(before);
    }

    private static KvEntry[] EntriesOf(string value) =>
        [.. Enumerable.Range(0, Entries).Select(i => new KvEntry(i.ToString("D6", CultureInfo.InvariantCulture), value))];

    private static async Task Until(Func<bool> condition)
    {
        while (!condition())
        {
            await Task.Delay(1);
        }
    }

    /// <summary>An engine that commits when the test says so.</summary>
    private sealed class HeldEngine : IKvEngine
    {
        private long _revision = 1000;

        public ConcurrentQueue<(TaskCompletionSource<KvEngineOutcome> Done, KvEngineGroup? Group)> Waiting { get; } = new();

        public KvPersistenceHealth Health => KvPersistenceHealth.Healthy;

        public IKvLargeValues? LargeValues => null;

        public void Commit(int count)
        {
            for (var i = 0; i < count && Waiting.TryDequeue(out var write); i++)
            {
                write.Done.SetResult(new KvEngineOutcome { Holds = true, IsMade = true, Revision = ++_revision });
            }
        }

        public void Fail(int count)
        {
            for (var i = 0; i < count && Waiting.TryDequeue(out var write); i++)
            {
                var failure = new KvPersistenceException("The engine has failed.");
                write.Group?.Fail(failure);
                write.Done.SetException(failure);
            }
        }

        public ValueTask<KvRecovery> OpenAsync(IKvEngineHost host, CancellationToken cancellationToken = default) =>
            new(new KvRecovery { HighestRevision = _revision });

        public ValueTask<KvEngineOutcome> CommitAsync(in KvEngineWrite write, CancellationToken cancellationToken = default)
        {
            var done = new TaskCompletionSource<KvEngineOutcome>(TaskCreationOptions.RunContinuationsAsynchronously);
            Waiting.Enqueue((done, write.Group));
            return new(done.Task);
        }

        public ValueTask<long> RefreshAsync(CancellationToken cancellationToken = default) => new(_revision);

        public ValueTask DisposeAsync() => default;
    }
}
