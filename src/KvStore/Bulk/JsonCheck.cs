using System.Buffers;
using System.Text.Json;
using KvStore.Json;

namespace KvStore.Bulk;

/// <summary>Checks whether a stream is JSON, without keeping it in memory.</summary>
internal static class JsonCheck
{
    // Longer than each string that the filter leaves in the text. A longer token can only be a number that no reader accepts.
    private const int TokenBytesMax = 2 * LongTextFilter.StringBytesMax;

    /// <summary>Whether a stream is exactly one JSON value. Bytes that are not UTF-8 may stand in its strings.</summary>
    public static async ValueTask<bool> IsOneJsonAsync(Stream stream, CancellationToken cancellationToken)
    {
        var texts = new LongTextFilter(stream);
        var buffer = ArrayPool<byte>.Shared.Rent(TokenBytesMax);
        try
        {
            var state = new JsonReaderState(new JsonReaderOptions { MaxDepth = KvJson.DepthMax });
            var (held, isEnd, hasToken) = (0, false, false);
            while (true)
            {
                var read = await texts.ReadAsync(buffer.AsMemory(held), cancellationToken).ConfigureAwait(false);
                held += read;
                isEnd = read == 0;
                var consumed = Read(buffer.AsSpan(0, held), isEnd, ref state, ref hasToken);
                await texts.ReleaseAsync(texts.NamesIn(buffer.AsSpan(0, consumed))).ConfigureAwait(false);
                if (isEnd)
                {
                    return hasToken;
                }

                buffer.AsSpan(consumed, held - consumed).CopyTo(buffer);
                held -= consumed;
                if (held == buffer.Length)
                {
                    return false;
                }
            }
        }
        catch (JsonException)
        {
            return false;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
            await texts.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static int Read(ReadOnlySpan<byte> bytes, bool isEnd, ref JsonReaderState state, ref bool hasToken)
    {
        var reader = new Utf8JsonReader(bytes, isEnd, state);
        while (reader.Read())
        {
            hasToken = true;
        }

        state = reader.CurrentState;
        return (int)reader.BytesConsumed;
    }
}
