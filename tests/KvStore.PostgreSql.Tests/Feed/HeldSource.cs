using System.Diagnostics;
using System.Threading.Channels;
using KvStore.PostgreSql.Feed;

namespace KvStore.PostgreSql.Tests.Feed;

/// <summary>A database that answers each question of a feed when the test says so.</summary>
internal sealed class HeldSource : IFeedSource
{
    private readonly Channel<long> _asked = Channel.CreateUnbounded<long>();
    private readonly Channel<Exception?> _answers = Channel.CreateUnbounded<Exception?>();
    private readonly Queue<KvMutation> _writes = [];
    private long _revision = 100;

    /// <summary>The next question is asked when this completes.</summary>
    /// <returns>A timestamp from after the moment at which it was asked.</returns>
    public ValueTask<long> WhenAskedAsync() => _asked.Reader.ReadAsync();

    /// <summary>Answers a question with a write of another process.</summary>
    public void AnswerWithWrite(string key)
    {
        _writes.Enqueue(new KvMutation { Key = ModelHost.BytesOf(key), Value = ModelHost.BytesOf("v"), Revision = ++_revision });
        Answer();
    }

    /// <summary>Answers a question: nothing has changed.</summary>
    public void Answer() => _answers.Writer.TryWrite(null);

    /// <summary>Fails a question.</summary>
    public void Fail() => _answers.Writer.TryWrite(new KvPersistenceException("The test has cut the connection."));

    public async ValueTask<FeedState> LoadAsync(IKvEngineHost host, CancellationToken cancellationToken)
    {
        await AskAsync(cancellationToken);
        return new FeedState("0", "model", _revision, Entries: 0);
    }

    public async ValueTask<FeedChanges> ReadChangesAsync(string previousSnapshot, CancellationToken cancellationToken)
    {
        await AskAsync(cancellationToken);
        return new FeedChanges("0", "model", _revision, HasGap: false, [.. _writes.Select(static write => new ChangedKey(write.Key, write.Revision))]);
    }

    public ValueTask<IReadOnlyList<KvMutation>> ReadRowsAsync(IReadOnlyList<ReadOnlyMemory<byte>> keys, CancellationToken cancellationToken)
    {
        IReadOnlyList<KvMutation> rows = [.. _writes];
        _writes.Clear();
        return new(rows);
    }

    public ValueTask<FeedState> CompareAsync(Action<byte[], long> show, CancellationToken cancellationToken) => throw new UnreachableException();

    public ValueTask AdoptAsync(CancellationToken cancellationToken) => throw new UnreachableException();

    public ValueTask RaiseAsync(IReadOnlyList<ReadOnlyMemory<byte>> keys, long above, CancellationToken cancellationToken) => throw new UnreachableException();

    private async Task AskAsync(CancellationToken cancellationToken)
    {
        _asked.Writer.TryWrite(Stopwatch.GetTimestamp());
        if (await _answers.Reader.ReadAsync(cancellationToken) is { } failure)
        {
            throw failure;
        }
    }
}
