namespace KvStore.Tests.Watching;

/// <summary>A watch that a test reads step by step.</summary>
internal sealed class Watch : IAsyncDisposable
{
    // Only a test that fails waits for so long.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly IAsyncEnumerator<KvChange> _changes;
    private Task<bool>? _pending;

    private Watch(IKvExtendedNamespace kv, KvWatchOptions? options, CancellationToken cancellationToken) =>
        _changes = kv.WatchAsync(options, cancellationToken).GetAsyncEnumerator(CancellationToken.None);

    /// <summary>Begins to watch: changes that are made afterwards are seen.</summary>
    public static Watch Begin(IKvExtendedNamespace kv, KvWatchOptions? options = null, CancellationToken cancellationToken = default)
    {
        var watch = new Watch(kv, options, cancellationToken);
        watch._pending = watch._changes.MoveNextAsync().AsTask();
        return watch;
    }

    /// <summary>The next change.</summary>
    public async Task<KvChange> NextAsync()
    {
        (await MovesNextAsync()).Should().BeTrue("there is another change");
        return _changes.Current;
    }

    /// <summary>Whether there is another change; false when the watch has ended.</summary>
    public async Task<bool> MovesNextAsync()
    {
        var next = _pending ?? _changes.MoveNextAsync().AsTask();
        _pending = null;
        return await next.WaitAsync(s_patience);
    }

    /// <summary>The next changes as short texts.</summary>
    public async Task<string[]> NextAsync(int count)
    {
        var texts = new string[count];
        for (var i = 0; i < count; i++)
        {
            texts[i] = Describe(await NextAsync());
        }

        return texts;
    }

    /// <summary>Requires that there is nothing to show.</summary>
    public void ShouldWait()
    {
        _pending ??= _changes.MoveNextAsync().AsTask();
        _pending.IsCompleted.Should().BeFalse("there is no further change");
    }

    public async ValueTask DisposeAsync()
    {
        if (_pending is null)
        {
            await _changes.DisposeAsync();
        }
    }

    public static string Describe(KvChange change) => change.Kind switch
    {
        KvChangeKind.Put => $"put {change.Key}={change.Value.GetText()}",
        KvChangeKind.Current or KvChangeKind.Reset => $"{change.Kind}".ToLowerInvariant(),
        _ => $"{change.Kind} {change.Key}".ToLowerInvariant(),
    };
}
