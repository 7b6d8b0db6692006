using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.Tests.Servers;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Connections;

[RealPartClass(RealPart.PostgreSql)]
public sealed class PrerequisitesTests
{
    [Theory]
    [InlineData(true, 6)]
    [InlineData(false, 4)]
    public async Task Pool_that_is_too_small_is_refused_and_the_smallest_one_is_enough(bool usesNotifications, int min)
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        var options = new KvPostgreSqlOptions { UseNotifications = usesNotifications };
        var open = () => KvPostgreSql.OpenAsync("KV", With(min - 1), options).AsTask();
        (await open.Should().ThrowAsync<ArgumentException>()).WithMessage($"*Maximum Pool Size={min - 1}; it must be at least {min} for each namespace*");

        await using var unpooled = await KvPostgreSql.OpenAsync("KV", $"{With(min - 1)};Pooling=false", options);
        await using var kv = await KvPostgreSql.OpenAsync("KV", With(min), options);
        await kv.PutAsync("k", new byte[1_000_000]);
        await kv.PutAsync("small", "v");
        (await kv.GetBytesAsync("k"))!.Value.Length.Should().Be(1_000_000);
        await WaitUntil.HoldsAsync(() => unpooled.TryGet("small", out _));

        string With(int size) => new NpgsqlConnectionStringBuilder(database) { MaxPoolSize = size }.ConnectionString;
    }

    [Fact]
    public async Task Keys_that_the_index_cannot_take_are_refused_when_the_namespace_is_opened()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        var open = () => KvPostgreSql.OpenAsync("KV", database, namespaceOptions: Of(Prerequisites.KeyBytesMax + 1)).AsTask();
        (await open.Should().ThrowAsync<ArgumentException>()).WithMessage("*KeyBytesMax is 2601; it must be at most 2600*");

        // Not compressible, so that the index has all of it.
        var key = string.Concat(Enumerable.Range(0, 200).Select(_ => Convert.ToHexStringLower(Guid.NewGuid().ToByteArray())))[..Prerequisites.KeyBytesMax];
        await using var kv = await KvPostgreSql.OpenAsync("KV", database, namespaceOptions: Of(Prerequisites.KeyBytesMax));
        await kv.PutAsync(key, "v");
        await using var again = await KvPostgreSql.OpenAsync("KV", database, namespaceOptions: Of(Prerequisites.KeyBytesMax));
        (await again.GetTextAsync(key)).Should().Be("v");

        static KvNamespaceOptions Of(int keyBytesMax) => new() { Limits = new KvLimits { KeyBytesMax = keyBytesMax } };
    }
}
