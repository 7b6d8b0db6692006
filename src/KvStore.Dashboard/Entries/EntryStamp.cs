using System.Buffers;
using System.Buffers.Binary;
using System.Buffers.Text;
using System.Security.Cryptography;

namespace KvStore.Dashboard.Entries;

/// <summary>
/// A hash of the value, metadata and expiration of an entry, to compare entries of several regions, and versions of an entry where the
/// namespace knows no revisions.
/// </summary>
internal static class EntryStamp
{
    /// <summary>The stamp of no entry.</summary>
    public const string Absent = "absent";

    private const int HashBytes = 16;

    /// <summary>The stamp of an entry. Of a large value, 64 KiB are in memory at a time.</summary>
    public static async ValueTask<string> OfAsync(KvValue value, CancellationToken cancellationToken)
    {
        if (!value.Exists)
        {
            return Absent;
        }

        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var head = new byte[16];
        BinaryPrimitives.WriteInt64LittleEndian(head, value.Expiration?.ToUnixTimeSeconds() ?? 0);
        BinaryPrimitives.WriteInt64LittleEndian(head.AsSpan(8), value.Metadata.Utf8Json.Length);
        hash.AppendData(head);
        hash.AppendData(value.Metadata.Utf8Json.Span);
        if (value.IsLarge)
        {
            await AppendAsync(hash, value, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            hash.AppendData(value.GetBytes().Span);
        }

        return Base64Url.EncodeToString(hash.GetHashAndReset().AsSpan(0, HashBytes));
    }

    private static async ValueTask AppendAsync(IncrementalHash hash, KvValue value, CancellationToken cancellationToken)
    {
        var stream = value.OpenStream();
        var buffer = ArrayPool<byte>.Shared.Rent(64 * 1024);
        await using (stream.ConfigureAwait(false))
        {
            while (await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is var read and > 0)
            {
                hash.AppendData(buffer.AsSpan(0, read));
            }
        }

        ArrayPool<byte>.Shared.Return(buffer);
    }
}
