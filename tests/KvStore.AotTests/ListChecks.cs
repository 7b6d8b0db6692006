namespace KvStore.AotTests;

/// <summary>Pages, cursors, and all pages in one go.</summary>
internal static class ListChecks
{
    private const int Keys = 2500;

    public static async Task RunAsync(IKvNamespace kv, DateTimeOffset now)
    {
        for (var i = 0; i < Keys; i++)
        {
            await kv.PutAsync($"list:{i:0000}", "x");
        }

        await kv.PutAsync("list:0001", "x", new KvPutOptions
        {
            Expiration = now.AddDays(1),
            Metadata = KvMetadata.FromJson("false"),
        });

        var page = await kv.ListAsync(new KvListOptions { Prefix = "list:", Limit = 2 });
        Check.Equal("list:0000,list:0001", string.Join(',', page.Keys.Select(key => key.Name)));
        Check.Equal(false, page.ListComplete);
        Check.Equal("false", page.Keys[1].Metadata.ToString());
        Check.Equal(now.AddDays(1), page.Keys[1].Expiration);
        Check.Equal(null, page.Keys[0].Expiration);

        page = await kv.ListAsync(new KvListOptions { Prefix = "list:", Cursor = page.Cursor });
        Check.Equal(1000, page.Keys.Count);
        Check.Equal("list:0002", page.Keys[0].Name);

        page = await kv.ListAsync(new KvListOptions { Prefix = "list:249" });
        Check.Equal(10, page.Keys.Count);
        Check.Equal(true, page.ListComplete);
        Check.Equal(null, page.Cursor);

        var listed = 0;
        await foreach (var key in kv.ListAllAsync("list:"))
        {
            Check.Equal($"list:{listed:0000}", key.Name);
            listed++;
        }

        Check.Equal(Keys, listed);
        await Check.Throws<KvException>(
            "KV GET failed: 400 Invalid key_count_limit of 1001.", () => kv.ListAsync(new KvListOptions { Limit = 1001 }).AsTask());
    }
}
