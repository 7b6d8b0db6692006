using System.Globalization;
using System.Text;

namespace KvStore.Tests.Engines;

/// <summary>
/// A state that is replaced while a caller reads it in several steps: a scan, or a list over several pages. What comes after the replacement
/// is the new state, and what both states have is shown once.
/// </summary>
public sealed class StateSwapScanTests
{
    private const int Keys = 3000;

    public static TheoryData<int> Moments => [0, 1, 63, 64, 65, 200, 575, 576, 577, 1500, 2399];

    [Theory]
    [MemberData(nameof(Moments))]
    public async Task Scan_that_a_swap_overtakes_goes_on_in_the_new_state(int before) =>
        await OvertakeAsync(before, static kv => ReadAsync(kv));

    [Theory]
    [MemberData(nameof(Moments))]
    public async Task List_over_pages_that_a_swap_overtakes_goes_on_in_the_new_state(int before) =>
        await OvertakeAsync(before - (before % 100), static kv => ListAsync(kv));

    // Of five keys, the first stays as it is, the second gets another value, the third and the fourth are deleted, and the fifth is new.
    private static async Task OvertakeAsync(int before, Func<KvNamespace, IAsyncEnumerable<(string Key, string Text)>> read)
    {
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        foreach (var i in Enumerable.Range(0, Keys).Where(static i => i % 5 != 4))
        {
            engine.Host.Apply(engine.Put(NameOf(i), "old", "\"old\""));
        }

        engine.Host.Publish();
        var shown = new List<(string Key, string Text)>();
        var reader = read(kv).GetAsyncEnumerator();
        while (shown.Count < before && await reader.MoveNextAsync())
        {
            shown.Add(reader.Current);
        }

        Swap(engine);
        while (await reader.MoveNextAsync())
        {
            shown.Add(reader.Current);
        }

        await reader.DisposeAsync();
        var last = before == 0 ? -1 : int.Parse(shown[before - 1].Key, CultureInfo.InvariantCulture);
        shown.Should().Equal(
        [
            .. Enumerable.Range(0, last + 1).Where(static i => i % 5 != 4).Select(static i => (NameOf(i), "old")),
            .. Enumerable.Range(last + 1, Keys - last - 1).Where(static i => i % 5 is 0 or 1 or 4).Select(static i => (NameOf(i), i % 5 == 0 ? "old" : "new")),
        ]);
    }

    private static void Swap(TestEngine engine)
    {
        using var swap = engine.Host.BeginSwap();
        for (var i = 0; i < Keys; i++)
        {
            switch (i % 5)
            {
                case 2:
                    swap.Apply(engine.Delete(NameOf(i)));
                    break;
                case 3:
                    var key = Encoding.UTF8.GetBytes(NameOf(i));
                    swap.Remove(key, engine.Host.RevisionOf(key));
                    break;
                case 1 or 4:
                    swap.Apply(engine.Put(NameOf(i), "new", "\"new\""));
                    break;
            }
        }

        swap.Complete();
    }

    private static async IAsyncEnumerable<(string Key, string Text)> ReadAsync(KvNamespace kv)
    {
        await foreach (var entry in kv.ScanAsync())
        {
            yield return (entry.Key, entry.Value.GetText()!);
        }
    }

    // Pages of the length that the moments are multiples of.
    private static async IAsyncEnumerable<(string Key, string Text)> ListAsync(KvNamespace kv)
    {
        string? cursor = null;
        do
        {
            var page = await kv.ListAsync(new KvListOptions { Limit = 100, Cursor = cursor });
            foreach (var key in page.Keys)
            {
                yield return (key.Name, key.Metadata!.ToString()!.Trim('"'));
            }

            cursor = page.Cursor;
        }
        while (cursor is not null);
    }

    private static string NameOf(int number) => number.ToString("D5", CultureInfo.InvariantCulture);
}
