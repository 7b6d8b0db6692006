namespace KvStore.TestKit;

/// <summary>The cursors of <see cref="ReferenceStore"/>: the last key of the page in base64.</summary>
internal static class ReferenceCursor
{
    private const string Mark = "after ";

    public static string After(byte[] key) => Mark + Convert.ToBase64String(key);

    /// <summary>The key after which a page begins, or null to begin at the first.</summary>
    public static byte[]? Parse(string? cursor)
    {
        if (string.IsNullOrEmpty(cursor))
        {
            return null;
        }

        var buffer = new byte[cursor.Length];
        if (cursor.StartsWith(Mark, StringComparison.Ordinal)
            && Convert.TryFromBase64String(cursor[Mark.Length..], buffer, out var length) && length > 0)
        {
            return buffer[..length];
        }

        throw new KvException(400, "LIST", "Invalid cursor. Please specify the cursor of the page before, as it was returned.");
    }
}
