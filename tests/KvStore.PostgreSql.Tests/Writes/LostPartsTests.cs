using System.IO.Pipelines;
using KvStore.PostgreSql.Tests.Servers;

namespace KvStore.PostgreSql.Tests.Writes;

/// <summary>Parts of a large value are lost between the answer about the last one and the entry.</summary>
[RealPartClass(RealPart.PostgreSql)]
public sealed class LostPartsTests
{
    public static TheoryData<string> Losses =>
    [
        "DELETE FROM kvstore.large_values WHERE id = NEW.id",
        "DELETE FROM kvstore.large_values WHERE id = NEW.id AND part = 0",
        "DELETE FROM kvstore.large_values WHERE id = NEW.id AND part = 1",
        "DELETE FROM kvstore.large_values WHERE id = NEW.id AND part = NEW.part",
        "UPDATE kvstore.large_values SET bytes = 'x' WHERE id = NEW.id AND part = 1",
        "UPDATE kvstore.large_values SET unreferenced_since = now() WHERE id = NEW.id AND part = 0",
    ];

    [Theory]
    [MemberData(nameof(Losses))]
    public async Task Entry_of_a_large_value_without_all_of_its_parts_is_refused(string loss)
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var kv = await KvPostgreSql.OpenAsync("KV", database);
        await kv.PutAsync("large", "old");
        await PostgreSqlServer.ExecuteAsync(database, Losing(loss));

        (Func<Task> Write, string Key)[] writes =
        [
            (() => kv.PutAsync("large", new byte[700_000]).AsTask(), "large"),
            (() => kv.PutAsync("large", new MemoryStream(new byte[700_000])).AsTask(), "large"),
            (() => kv.TryPutAsync("large", new byte[700_000], KvCondition.Present).AsTask(), "large"),
            (() => kv.TryPutAsync("new", new byte[700_000], KvCondition.Absent).AsTask(), "new"),
            (() => kv.PutManyAsync([new KvEntry("many", new byte[700_000])]).AsTask(), "many"),
            (() => kv.PutManyAsync([new KvEntry("many", new byte[700_000]), .. Enumerable.Range(0, 600).Select(static i => new KvEntry($"{i}", "v"))]).AsTask(), "many"),
        ];
        foreach (var (write, _) in writes)
        {
            // Nobody else's write fails with it.
            var others = Enumerable.Range(0, 20).Select(i => kv.PutAsync($"other {i}", "v").AsTask()).ToArray();
            (await write.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*does not have all parts*Nothing was written*Put the value again*");
            await Task.WhenAll(others);
        }

        (await kv.GetTextAsync("large")).Should().Be("old");
        (await PostgreSqlServer.ExecuteAsync(database, "SELECT count(*) FROM kvstore.entries WHERE large IS NOT NULL")).Should().Be(0L);
        kv.Count.Should().Be(21);

        await PostgreSqlServer.ExecuteAsync(database, "DROP TRIGGER lose ON kvstore.large_values");
        foreach (var (write, key) in writes)
        {
            await write();
            (await kv.GetBytesAsync(key))!.Value.Length.Should().Be(700_000);
        }
    }

    [Fact]
    public async Task Entry_of_an_upload_that_the_sweeper_has_given_up_is_refused()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var kv = await KvPostgreSql.OpenAsync("KV", database, new KvPostgreSqlOptions { SweepInterval = TimeSpan.FromSeconds(1) });
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 0));
        var put = kv.PutAsync("large", pipe.Reader.AsStream()).AsTask();
        await pipe.Writer.WriteAsync(new byte[600_000]);
        await WaitUntil.HoldsAsync(async () => await PostgreSqlServer.ExecuteAsync(database, "SELECT count(*) FROM kvstore.large_values") is 2L);

        // An upload that has taken hours: the sweeper takes it for one that was given up.
        await PostgreSqlServer.ExecuteAsync(database, "UPDATE kvstore.large_values SET at = now() - interval '2 hours'");
        await WaitUntil.HoldsAsync(async () => await PostgreSqlServer.ExecuteAsync(database, "SELECT count(unreferenced_since) FROM kvstore.large_values") is 1L);
        await pipe.Writer.CompleteAsync();

        (await put.Invoking(p => p).Should().ThrowAsync<KvPersistenceException>()).WithMessage("*does not have all parts*");
        kv.TryGet("large", out _).Should().BeFalse();
    }

    // The trigger's changes are not in the snapshot in which the writer counts the earlier parts.
    private static string Losing(string loss) =>
        $"""
        CREATE FUNCTION kvstore.lose() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN {loss}; RETURN NULL; END $$;
        CREATE TRIGGER lose AFTER INSERT ON kvstore.large_values FOR EACH ROW WHEN (octet_length(NEW.bytes) < 262144) EXECUTE FUNCTION kvstore.lose()
        """;
}
