namespace KvStore;

/// <summary>What a <see cref="KvValue"/> looks at when its value is kept outside memory.</summary>
/// <param name="value">The value, held so that it stays readable.</param>
/// <param name="segment">The memory with the record.</param>
internal sealed class LargeValueView(KvLargeValue value, byte[] segment)
{
    public KvLargeValue Value { get; } = value;

    public byte[] Segment { get; } = segment;

    /// <summary>Reads the whole value.</summary>
    public byte[] ReadAll()
    {
        var bytes = new byte[Value.Length];
        using var stream = Value.OpenStream();
        stream.ReadExactly(bytes);
        return bytes;
    }

    /// <summary>Reads the whole value without blocking.</summary>
    public async ValueTask<byte[]> ReadAllAsync(CancellationToken cancellationToken)
    {
        var bytes = new byte[Value.Length];
        await ReadAllAsync(bytes, cancellationToken).ConfigureAwait(false);
        return bytes;
    }

    /// <summary>Reads the whole value without blocking, to memory of just its length.</summary>
    public async ValueTask ReadAllAsync(Memory<byte> destination, CancellationToken cancellationToken)
    {
        var stream = Value.OpenStream();
        await using (stream.ConfigureAwait(false))
        {
            await stream.ReadExactlyAsync(destination, cancellationToken).ConfigureAwait(false);
        }
    }
}
