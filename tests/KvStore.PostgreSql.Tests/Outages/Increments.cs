namespace KvStore.PostgreSql.Tests.Outages;

/// <summary>Tasks that increment the counter <c>n</c> until they are ended. A lost increment, or one that is made twice, shows in its value.</summary>
internal sealed class Increments : IDisposable
{
    private readonly CancellationTokenSource _ending = new();
    private readonly Task _running;
    private int _acknowledged;

    /// <param name="namespaces">The namespace of each task.</param>
    public Increments(params IEnumerable<KvNamespace> namespaces) =>
        _running = Task.WhenAll(namespaces.Select(kv => Task.Run(() => RepeatAsync(kv, _ending.Token))));

    /// <summary>How many have been acknowledged.</summary>
    public int Acknowledged => Volatile.Read(ref _acknowledged);

    /// <summary>Waits until so many more are acknowledged, or a task has failed; <see cref="EndAsync"/> then says how.</summary>
    public async Task ProgressAsync(int more, string because = "")
    {
        var before = Acknowledged;
        await WaitUntil.HoldsAsync(() => Acknowledged >= before + more || _running.IsCompleted, because);
    }

    /// <summary>Ends the tasks.</summary>
    /// <returns>The value that the counter has to have.</returns>
    public async Task<string> EndAsync()
    {
        await _ending.CancelAsync();
        await _running;
        return $"{Acknowledged}";
    }

    public void Dispose() => _ending.Dispose();

    private async Task RepeatAsync(KvNamespace kv, CancellationToken ending)
    {
        while (!ending.IsCancellationRequested)
        {
            await kv.IncrementAsync("n", cancellationToken: CancellationToken.None);
            Interlocked.Increment(ref _acknowledged);
        }
    }
}
