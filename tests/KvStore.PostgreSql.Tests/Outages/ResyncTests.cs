using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.PostgreSql.Tests.Outages;

/// <summary>A full resync: the new state is built beside the served one, and swapped in at the end.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class ResyncTests
{
    private const int Keys = 900;

    [Fact]
    public async Task Reader_during_a_resync_sees_the_old_state_or_the_new_one()
    {
        await using var shared = await SharedNamespaces.OpenAsync(1);
        var server = await PostgreSqlServer.Shared;
        await using var proxy = new CuttingProxy(server.Socket);
        await using var away = await KvPostgreSql.OpenAsync("SHARED", proxy.Through(shared.Database, "Timeout=2;Cancellation Timeout=500"));
        await PutAsync(shared[0], 0, Keys * 2 / 3, "a");
        await WaitUntil.HoldsAsync(() => away.Count == Keys * 2 / 3);
        var watch = away.WatchAsync().GetAsyncEnumerator();
        Task<bool>? next = watch.MoveNextAsync().AsTask();
        using var ending = new CancellationTokenSource();
        Task[] readers =
        [
            OwnThread.RunAsync(() => GetAsync(away, ending.Token)),
            OwnThread.RunAsync(() => GetManyAsync(away, ending.Token)),
            OwnThread.RunAsync(() => ListAsync(away, ending.Token)),
        ];

        // While the process is away the state becomes another one, and the changes are removed that led there.
        proxy.Refuses = true;
        proxy.Cut();
        await shared[0].DeleteManyAsync([.. Enumerable.Range(0, Keys / 3).Select(NameOf)]);
        await PutAsync(shared[0], Keys / 3, Keys, "b");
        await PostgreSqlServer.ExecuteAsync(
            shared.Database,
            """
            TRUNCATE kvstore.changes;
            DELETE FROM kvstore.entries WHERE deleted_at IS NOT NULL AND key < convert_to('0200', 'UTF8');
            UPDATE kvstore.meta SET changes_floor = pg_current_xact_id()
            """);
        proxy.Refuses = false;

        await WaitUntil.HoldsAsync(() => readers.Any(static reader => reader.IsCompleted) || (away.TryGet(NameOf(Keys - 1), out var value) && value.GetText() == "b"));
        await ending.CancelAsync();
        await Task.WhenAll(readers);
        (await SharedNamespaces.StateOf(away)).Should().Equal(await SharedNamespaces.StateOf(shared[0]));

        var changes = new SortedDictionary<string, string>(StringComparer.Ordinal);
        while (changes.Count < Keys)
        {
            (await (next ?? watch.MoveNextAsync().AsTask()).WaitAsync(TimeSpan.FromSeconds(60))).Should().BeTrue();
            changes.Add(watch.Current.Key!, $"{watch.Current.Kind} {watch.Current.Value.GetText()}");
            next = null;
        }

        changes.Should().Equal(Enumerable.Range(0, Keys).Select(i => KeyValuePair.Create(NameOf(i), i < Keys / 3 ? "Delete " : "Put b")));
        await watch.DisposeAsync();
    }

    private static string NameOf(int number) => $"{number:D4}";

    private static async Task PutAsync(KvNamespace kv, int from, int to, string value) =>
        await kv.PutManyAsync([.. Enumerable.Range(from, to - from).Select(i => new KvEntry(NameOf(i), value, new KvPutOptions { Metadata = KvMetadata.From(value) }))]);

    // All keys in turn: no `a`, and no key that is not in the new state, after a `b`.
    private static async Task GetAsync(KvNamespace kv, CancellationToken ending)
    {
        var isNew = false;
        for (var key = 0; !ending.IsCancellationRequested; key = (key + 1) % Keys)
        {
            var text = await kv.GetTextAsync(NameOf(key), cancellationToken: CancellationToken.None);
            isNew |= text == "b";
            if (isNew)
            {
                text.Should().Be(key < Keys / 3 ? null : "b");
            }
        }
    }

    private static async Task GetManyAsync(KvNamespace kv, CancellationToken ending)
    {
        var keys = Enumerable.Range(0, 100).Select(i => NameOf(i * Keys / 100)).ToArray();
        while (!ending.IsCancellationRequested)
        {
            var values = (await kv.GetManyAsync(keys, cancellationToken: CancellationToken.None)).Values.Where(value => value.Exists).Select(value => value.GetText()).ToList();
            values.Distinct().Should().ContainSingle();
            values.Should().HaveCount(67 - (values[0] == "a" ? 0 : 1));
        }
    }

    private static async Task ListAsync(KvNamespace kv, CancellationToken ending)
    {
        while (!ending.IsCancellationRequested)
        {
            var keys = (await kv.ListAsync(cancellationToken: CancellationToken.None)).Keys;
            keys.Select(key => key.Metadata!.ToString()).Distinct().Should().ContainSingle();
            keys.Select(key => key.Name).Should().Equal((keys[0].Name == "0000" ? Enumerable.Range(0, Keys * 2 / 3) : Enumerable.Range(Keys / 3, Keys * 2 / 3)).Select(NameOf));
        }
    }
}
