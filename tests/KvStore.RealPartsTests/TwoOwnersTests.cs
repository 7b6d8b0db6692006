namespace KvStore.RealPartsTests;

/// <summary>
/// Directories that change hands while they are open: the lock deleted, the directory moved and another one made at its path, removed.
/// The owner that lost the directory stops writing and says so, and no file of the new owner is removed.
/// </summary>
public sealed class TwoOwnersTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("kvstore-owners-").FullName;

    private string Place => Path.Combine(_root, "place");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task Lock_deleted_while_open_loses_nothing_that_either_acknowledged()
    {
        var acknowledged = new Dictionary<string, string>(StringComparer.Ordinal);
        var first = await Prepared.OpenAsync(Place);
        await PutManyAsync(first, "first", acknowledged, 20);
        Array.ForEach(Directory.GetFiles(Place, "lock*"), File.Delete);

        KvNamespace? second = null;
        try
        {
            second = await Prepared.OpenAsync(Place);
        }
        catch (KvPersistenceException)
        {
            // Refused, though the lock is gone: as good as it gets.
        }

        if (second is not null)
        {
            await PutManyAsync(second, "second", acknowledged, 20);
        }

        for (var i = 0; i < 5; i++)
        {
            await PutManyAsync(first, $"first {i}", acknowledged, 20);
            await TryAsync(() => first.CompactAsync().AsTask());
            if (second is not null)
            {
                await PutManyAsync(second, $"second {i}", acknowledged, 20);
                await TryAsync(() => second.CompactAsync().AsTask());
            }
        }

        await TryAsync(() => first.DisposeAsync().AsTask());
        if (second is not null)
        {
            await TryAsync(() => second.DisposeAsync().AsTask());
        }

        await using var again = await Prepared.OpenAsync(Place);
        var state = await Prepared.ReadAsync(again);
        acknowledged.Where(pair => !state.TryGetValue(pair.Key, out var value) || value != pair.Value).Select(pair => pair.Key)
            .Should().BeEmpty("each of them was acknowledged");
    }

    [Fact]
    public async Task Directory_moved_and_another_made_at_its_path_harms_neither()
    {
        var before = new Dictionary<string, string>(StringComparer.Ordinal);
        var first = await Prepared.OpenAsync(Place);
        await PutManyAsync(first, "first", before, 30);
        var moved = Path.Combine(_root, "moved");
        Directory.Move(Place, moved);
        var newcomer = new Dictionary<string, string>(StringComparer.Ordinal);
        var second = await Prepared.OpenAsync(Place);
        await PutManyAsync(second, "second", newcomer, 30);
        for (var i = 0; i < 5; i++)
        {
            await PutManyAsync(first, $"first {i}", before, 30);
            await TryAsync(() => first.CompactAsync().AsTask());
            await PutManyAsync(second, $"second {i}", newcomer, 30);
        }

        await TryAsync(() => first.DisposeAsync().AsTask());
        await second.DisposeAsync();

        await using (var again = await Prepared.OpenAsync(Place))
        {
            (await Prepared.ReadAsync(again)).Should().Equal(newcomer);
        }

        await using (var again = await Prepared.OpenAsync(moved))
        {
            (await Prepared.ReadAsync(again)).Should().Equal(before);
        }
    }

    [Fact]
    public async Task Directory_removed_while_open_refuses_writes_in_the_end_and_says_so()
    {
        var kv = await Prepared.OpenAsync(Place);
        await PutManyAsync(kv, "first", new Dictionary<string, string>(StringComparer.Ordinal), 20);
        Directory.Delete(Place, recursive: true);

        var isRefused = false;
        for (var i = 0; i < 200 && !isRefused; i++)
        {
            isRefused = !await TryAsync(() => kv.PutAsync($"late {i}", new string('l', 300)).AsTask());
        }

        isRefused.Should().BeTrue("a log that nobody can open again is no place for what is acknowledged");
        (await kv.GetTextAsync("first 1")).Should().NotBeNull("reads go on");
        await TryAsync(() => kv.DisposeAsync().AsTask());
    }

    private static async Task PutManyAsync(KvNamespace kv, string name, Dictionary<string, string> acknowledged, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var key = $"{name} {i}";
            var value = $"{key} " + new string('v', i % 10 == 9 ? 3000 : 200);
            if (await TryAsync(() => kv.PutAsync(key, value).AsTask()))
            {
                acknowledged[key] = value;
            }
        }
    }

    private static async Task<bool> TryAsync(Func<Task> act)
    {
        try
        {
            await act();
            return true;
        }
        catch (KvPersistenceException)
        {
            return false;
        }
    }
}
