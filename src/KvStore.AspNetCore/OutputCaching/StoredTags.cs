namespace KvStore.OutputCaching;

/// <summary>Reads the tags of an entry of the namespace.</summary>
internal static class StoredTags
{
    /// <summary>Reads the number and the tags of a page, without the rest of its value.</summary>
    /// <returns>No tags when the entry does not exist, is no page, or has none.</returns>
    public static ValueTask<(long Number, string[] Tags)> ReadAsync(KvValue value)
    {
        var tags = new List<string>();
        return !value.Exists || !PageHeader.TryRead(value.Metadata, tags, out var header) ? new((0, []))
            : header.TagBytes == 0 ? new((header.SetNumber, [.. tags]))
            : ReadValueTagsAsync(value, header, tags);
    }

    private static async ValueTask<(long Number, string[] Tags)> ReadValueTagsAsync(KvValue value, PageHeader header, List<string> tags)
    {
        if (header.TagBytes > value.Length)
        {
            return (0, []);
        }

        var bytes = new byte[header.TagBytes];
        var stream = value.OpenStream();
        await using (stream.ConfigureAwait(false))
        {
            await stream.ReadExactlyAsync(bytes).ConfigureAwait(false);
        }

        return header.TryReadValueTags(bytes, tags) ? (header.SetNumber, [.. tags]) : (0, []);
    }
}
