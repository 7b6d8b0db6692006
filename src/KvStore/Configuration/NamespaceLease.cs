namespace KvStore.Configuration;

/// <summary>Keeps a namespace open until it is disposed, when the namespace has several owners.</summary>
/// <param name="kv">The namespace.</param>
/// <param name="release">What disposing this does; null for nothing.</param>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class NamespaceLease<T>(T kv, Func<ValueTask>? release) : IAsyncDisposable
    where T : IKvExtendedNamespace
{
    private Func<ValueTask>? _release = release;

    /// <summary>The namespace.</summary>
    public T Namespace { get; } = kv;

    public ValueTask DisposeAsync() => Interlocked.Exchange(ref _release, null)?.Invoke() ?? default;
}
