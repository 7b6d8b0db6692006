namespace KvStore.Comparisons.Peers;

/// <summary>Random positions in a namespace at which a page of a list begins.</summary>
/// <param name="Cursors">The cursors of the positions.</param>
/// <param name="Starts">The keys that come first on those pages, in the same order.</param>
internal sealed record ListPages(string[] Cursors, string[] Starts)
{
    public const int KeysPerPage = 1000;

    // Not a divisor of any size in the index, so that cursors are at arbitrary positions in leaves.
    private const int CursorStride = 97;

    /// <summary>Chooses random positions, each with a whole page after it.</summary>
    public static ListPages Random(IKvNamespace kv, int keys, int pages)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(keys, KeysPerPage + (2 * CursorStride));
        var all = new List<(string Cursor, string Start)>();
        string? cursor = null;
        for (var seen = 0; seen + KeysPerPage <= keys; seen += CursorStride)
        {
            // In memory, listing is complete when it returns.
            var page = kv.ListAsync(new KvListOptions { Limit = CursorStride, Cursor = cursor }).AsTask().GetAwaiter().GetResult();
            if (cursor is not null)
            {
                all.Add((cursor, page.Keys[0].Name));
            }

            cursor = page.Cursor;
        }

        var random = new Random(5);
        var chosen = Enumerable.Range(0, pages).Select(_ => all[random.Next(all.Count)]).ToArray();
        return new ListPages(Array.ConvertAll(chosen, c => c.Cursor), Array.ConvertAll(chosen, c => c.Start));
    }
}
