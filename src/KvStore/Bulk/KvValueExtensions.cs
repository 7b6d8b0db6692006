using System.Text.Json;
using KvStore.Bulk;
using KvStore.Json;

namespace KvStore;

/// <summary>Extension methods of <see cref="KvValue"/>. Safe to call from any thread.</summary>
public static class KvValueExtensions
{
    private static ReadOnlySpan<byte> ByteOrderMark => "\uFEFF"u8;

    /// <summary>
    /// Checks whether a value is exactly one JSON value, nested at most <see cref="KvLimits.JsonDepthMax"/> levels deep. A UTF-8 byte
    /// order mark before it is skipped, and bytes that are not UTF-8 may stand in its strings.
    /// </summary>
    /// <remarks>A large value (<see cref="KvValue.IsLarge"/>) is read through once, and at most a few hundred KiB of it are in memory.</remarks>
    /// <param name="value">The value.</param>
    /// <param name="cancellationToken">Ends the reading of a large value.</param>
    /// <returns>Whether the value is JSON; false for a key that does not exist.</returns>
    /// <exception cref="KvDamagedFileException">The file of a large value does not hold what was written.</exception>
    public static ValueTask<bool> IsJsonAsync(this KvValue value, CancellationToken cancellationToken = default) =>
        value.IsLarge ? IsLargeJsonAsync(value, cancellationToken)
        : new(value.Exists && IsJson(value.GetBytes().Span));

    private static async ValueTask<bool> IsLargeJsonAsync(KvValue value, CancellationToken cancellationToken)
    {
        var stream = value.OpenStream();
        await using (stream.ConfigureAwait(false))
        {
            var mark = new byte[ByteOrderMark.Length];
            var read = await stream.ReadAtLeastAsync(mark, mark.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
            stream.Position = mark.AsSpan(0, read).SequenceEqual(ByteOrderMark) ? read : 0;
            return await JsonCheck.IsOneJsonAsync(stream, cancellationToken).ConfigureAwait(false);
        }
    }

    private static bool IsJson(ReadOnlySpan<byte> bytes)
    {
        bytes = bytes.StartsWith(ByteOrderMark) ? bytes[ByteOrderMark.Length..] : bytes;
        try
        {
            var reader = new Utf8JsonReader(KvJson.Repair(bytes), new JsonReaderOptions { MaxDepth = KvJson.DepthMax });
            if (!reader.Read())
            {
                return false;
            }

            reader.Skip();
            return !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
