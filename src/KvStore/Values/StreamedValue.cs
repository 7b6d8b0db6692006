using System.Buffers;
using System.IO.Pipelines;
using KvStore.Rules;

namespace KvStore.Values;

/// <summary>
/// A value that is read from a stream or a pipe to its end, in pooled chunks, before any of it is visible. A value that fails, is
/// cancelled or is too long leaves nothing behind. A value that is long enough to be kept outside memory is written there while it is
/// read.
/// </summary>
internal sealed class StreamedValue : IAsyncDisposable
{
    private const int ChunkBytesMin = 4 * 1024;
    private const int ChunkBytesMax = 1024 * 1024;

    private readonly IKvLargeValues? _largeValues;
    private readonly List<ArraySegment<byte>> _chunks = [];
    private KvLargeValueWriter? _writer;

    private StreamedValue(IKvLargeValues? largeValues) => _largeValues = largeValues;

    /// <summary>The length of the whole value.</summary>
    public int Length { get; private set; }

    /// <summary>
    /// Where the value is kept, when that is outside memory. This object owns it until <see cref="HandOver"/>, and releases it otherwise.
    /// </summary>
    public KvValueReference Reference { get; private set; }

    /// <summary>Reads a value to its end.</summary>
    /// <param name="content">A stream or a pipe.</param>
    /// <param name="valueBytesMax">The limit on its length.</param>
    /// <param name="largeValues">Stores large values outside memory; null when all values are kept in memory.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="KvException">It is longer than the limit (413). Thrown at the first byte over the limit.</exception>
    public static async ValueTask<StreamedValue> ReadAsync(
        KvContent content, int valueBytesMax, IKvLargeValues? largeValues, CancellationToken cancellationToken)
    {
        var value = new StreamedValue(largeValues);
        try
        {
            if (content.Stream is { } stream)
            {
                await value.ReadStreamAsync(stream, valueBytesMax, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                await value.ReadPipeAsync(content.Pipe!, valueBytesMax, cancellationToken).ConfigureAwait(false);
            }

            await value.CompleteAsync(cancellationToken).ConfigureAwait(false);
            return value;
        }
        catch
        {
            await value.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Copies a value that is in memory as a whole. <see cref="CompleteAsync"/> stores it outside memory.</summary>
    public static StreamedValue Copy(ReadOnlySpan<byte> bytes, IKvLargeValues largeValues)
    {
        var value = new StreamedValue(largeValues);
        try
        {
            value.Append(bytes);
            return value;
        }
        catch
        {
            value.FreeChunks();
            throw;
        }
    }

    /// <summary>Writes the whole value, when it is kept in memory.</summary>
    public void CopyTo(Span<byte> destination)
    {
        foreach (var chunk in _chunks)
        {
            chunk.AsSpan().CopyTo(destination);
            destination = destination[chunk.Count..];
        }
    }

    /// <summary>The draft of a record owns the value outside memory from now on.</summary>
    public void HandOver() => Reference = default;

    /// <summary>
    /// Returns the chunks, and abandons or releases what was written outside memory and not handed over. The value must not be used
    /// afterwards.
    /// </summary>
    public ValueTask DisposeAsync()
    {
        FreeChunks();
        if (!Reference.IsNone)
        {
            _largeValues!.Release(Reference);
            Reference = default;
        }

        return _writer?.DisposeAsync() ?? default;
    }

    private void FreeChunks()
    {
        foreach (var chunk in _chunks)
        {
            ArrayPool<byte>.Shared.Return(chunk.Array!);
        }

        _chunks.Clear();
    }

    private async ValueTask ReadStreamAsync(Stream stream, int valueBytesMax, CancellationToken cancellationToken)
    {
        if (stream.CanSeek)
        {
            ValueLimit.Check(stream.Length - stream.Position, valueBytesMax);
        }

        while (true)
        {
            // Never reads more than one byte over the limit.
            var room = valueBytesMax - Length + 1;
            var buffer = ArrayPool<byte>.Shared.Rent(Math.Min(NextChunkBytes(), room));
            var filled = 0;
            var isAdded = false;
            try
            {
                var wanted = Math.Min(buffer.Length, room);
                while (filled < wanted)
                {
                    var read = await stream.ReadAsync(buffer.AsMemory(filled, wanted - filled), cancellationToken).ConfigureAwait(false);
                    if (read == 0)
                    {
                        break;
                    }

                    filled += read;
                }

                var isEnd = filled < wanted;
                Add(new ArraySegment<byte>(buffer, 0, filled));
                isAdded = true;
                ValueLimit.Check(Length, valueBytesMax);
                await SpillAsync(cancellationToken).ConfigureAwait(false);
                if (isEnd)
                {
                    return;
                }
            }
            catch when (!isAdded)
            {
                ArrayPool<byte>.Shared.Return(buffer);
                throw;
            }
        }
    }

    private async ValueTask ReadPipeAsync(PipeReader pipe, int valueBytesMax, CancellationToken cancellationToken)
    {
        while (true)
        {
            var result = await pipe.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (result.IsCanceled)
            {
                pipe.AdvanceTo(result.Buffer.Start);
                throw new OperationCanceledException("Reading the pipe was cancelled.");
            }

            var room = (long)valueBytesMax - Length + 1;
            var taken = result.Buffer.Length <= room ? result.Buffer : result.Buffer.Slice(0, room);
            foreach (var memory in taken)
            {
                Append(memory.Span);
            }

            pipe.AdvanceTo(taken.End);
            ValueLimit.Check(Length, valueBytesMax);
            await SpillAsync(cancellationToken).ConfigureAwait(false);
            if (result.IsCompleted && taken.Length == result.Buffer.Length)
            {
                return;
            }
        }
    }

    // Once the value is long enough, the chunks are written to where large values are kept.
    private async ValueTask SpillAsync(CancellationToken cancellationToken)
    {
        if (_largeValues is null || Length < _largeValues.ThresholdBytes)
        {
            return;
        }

        _writer ??= _largeValues.Create();
        foreach (var chunk in _chunks)
        {
            await _writer.WriteAsync(chunk, cancellationToken).ConfigureAwait(false);
        }

        FreeChunks();
    }

    /// <summary>Stores the rest of the value and makes it durable, when it is kept outside memory.</summary>
    public async ValueTask CompleteAsync(CancellationToken cancellationToken)
    {
        await SpillAsync(cancellationToken).ConfigureAwait(false);
        if (_writer is not null)
        {
            Reference = await _writer.CompleteAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var hasRoom = _chunks.Count > 0 && _chunks[^1] is var last && last.Count < last.Array!.Length;
            if (!hasRoom)
            {
                _chunks.Add(new ArraySegment<byte>(ArrayPool<byte>.Shared.Rent(NextChunkBytes()), 0, 0));
            }

            var chunk = _chunks[^1];
            var part = Math.Min(bytes.Length, chunk.Array!.Length - chunk.Count);
            bytes[..part].CopyTo(chunk.Array.AsSpan(chunk.Count));
            _chunks[^1] = new ArraySegment<byte>(chunk.Array, 0, chunk.Count + part);
            Length += part;
            bytes = bytes[part..];
        }
    }

    private void Add(ArraySegment<byte> chunk)
    {
        _chunks.Add(chunk);
        Length += chunk.Count;
    }

    private int NextChunkBytes() => Math.Clamp(Length, ChunkBytesMin, ChunkBytesMax);
}
