namespace KvStore;

/// <summary>Writes one large value. Disposing it before it was completed abandons the value.</summary>
/// <remarks>Thread safety: one caller at a time.</remarks>
public abstract class KvLargeValueWriter : IAsyncDisposable
{
    /// <summary>The bytes written so far.</summary>
    public abstract long Length { get; }

    /// <summary>Appends bytes to the value.</summary>
    /// <param name="bytes">The bytes, read before the task completes.</param>
    /// <param name="cancellationToken">Cancels the write; the value is then only good for being disposed.</param>
    /// <returns>A task that completes when the bytes may be reused.</returns>
    public abstract ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default);

    /// <summary>Ends the value and makes it durable.</summary>
    /// <param name="cancellationToken">Looked at before anything happens.</param>
    /// <returns>What to put into the mutation. Whoever does not append it calls <see cref="IKvLargeValues.Release"/>.</returns>
    public abstract ValueTask<KvValueReference> CompleteAsync(CancellationToken cancellationToken = default);

    /// <summary>Abandons the value unless it was completed.</summary>
    /// <returns>A task that completes when nothing of it is left.</returns>
    public abstract ValueTask DisposeAsync();
}
