namespace KvStore.Comparisons.Peers;

/// <summary>Places in the middle of a namespace where a page of a listing may begin.</summary>
/// <param name="Cursors">The cursors that lead there.</param>
/// <param name="Starts">The keys that come first on those pages, in the same order.</param>
internal sealed record ListPages(string[] Cursors, string[] Starts)
{
    public const int KeysPerPage = 1000;

    // Not a divisor of anything: the cursors end up in the middle of whatever the index is made of.
    private const int CursorStride = 97;

    /// <summary>Chooses places at random, each with a whole page after it.</summary>
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
