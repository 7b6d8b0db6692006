using System.Buffers;
using System.IO.Pipelines;

namespace KvStore.Values;

/// <summary>
/// A value read from a stream or a pipe to its end, in pooled chunks, before anything of it is stored: one that fails, is
/// cancelled or turns out too long leaves nothing behind.
/// </summary>
internal sealed class StreamedValue : IDisposable
{
    private const int ChunkBytesMin = 4 * 1024;
    private const int ChunkBytesMax = 1024 * 1024;

    private readonly List<ArraySegment<byte>> _chunks = [];

    private StreamedValue()
    {
    }

    /// <summary>The length of the whole value.</summary>
    public int Length { get; private set; }

    /// <summary>Reads a value to its end.</summary>
    /// <exception cref="KvException">It is longer than the limit (413), told at the first byte over it.</exception>
    public static async ValueTask<StreamedValue> ReadAsync(KvContent content, int valueBytesMax, CancellationToken cancellationToken)
    {
        var value = new StreamedValue();
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

            return value;
        }
        catch
        {
            value.Dispose();
            throw;
        }
    }

    /// <summary>Writes the whole value.</summary>
    public void CopyTo(Span<byte> destination)
    {
        foreach (var chunk in _chunks)
        {
            chunk.AsSpan().CopyTo(destination);
            destination = destination[chunk.Count..];
        }
    }

    /// <summary>Gives the chunks back. The value must not be used afterwards.</summary>
    public void Dispose()
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
            // Never asks for more than one byte over the limit.
            var room = valueBytesMax - Length + 1;
            var buffer = ArrayPool<byte>.Shared.Rent(Math.Min(NextChunkBytes(), room));
            var filled = 0;
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
                ValueLimit.Check(Length, valueBytesMax);
                if (isEnd)
                {
                    return;
                }
            }
            catch when (_chunks.Count == 0 || _chunks[^1].Array != buffer)
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
            if (result.IsCompleted && taken.Length == result.Buffer.Length)
            {
                return;
            }
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
