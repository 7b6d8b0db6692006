using KvStore.Rules;

namespace KvStore.Tests.Texts;

/// <summary>Messages that are not the binding's: they name the operation, the namespace and the key.</summary>
public sealed class MessageTests
{
    [Fact]
    public async Task Bad_cursor_is_the_fault_of_a_list()
    {
        await using var kv = KvNamespace.Create("KV");

        var refusal = (await kv.Invoking(k => k.ListAsync(new KvListOptions { Cursor = "junk" }).AsTask()).Should().ThrowAsync<KvException>()).Which;

        refusal.Operation.Should().Be("LIST");
        refusal.Message.Should().StartWith("KV LIST failed: 400 Invalid cursor.");
    }

    [Fact]
    public async Task Json_that_a_type_does_not_fit_is_distinguished_from_invalid_json()
    {
        await using var kv = KvNamespace.Create("PREFERENCES");
        await kv.PutAsync("a\nkey", """{"secret":"x"}""");
        await kv.PutAsync("text", "no json");

        var mismatch = (await kv.Invoking(k => k.GetJsonAsync<int>(["a\nkey", "missing"]).AsTask()).Should().ThrowAsync<KvException>()).Which;
        var noJson = (await kv.Invoking(k => k.GetJsonAsync<int>(["a\nkey", "text"]).AsTask()).Should().ThrowAsync<KvException>()).Which;

        mismatch.Message.Should().Be("KV GET_BULK failed: 400 The value of the key \"a\\u000Akey\" in the namespace \"PREFERENCES\" is JSON, but not a System.Int32.");
        noJson.Message.Should().Be("KV GET_BULK failed: 400 At least one of the requested keys corresponds to a non-json value");
    }

    [Fact]
    public async Task Disposed_namespace_is_named_by_every_operation()
    {
        var kv = KvNamespace.Create("SETTINGS", new KvNamespaceOptions { Replication = new KvReplicationOptions { Regions = ["jnb", "lhr"] } });
        var lhr = kv.InRegion("lhr");
        await kv.DisposeAsync();

        foreach (var closed in new[] { kv, lhr })
        {
            Func<Task>[] late =
            [
                () => closed.GetAsync("k").AsTask(),
                () => closed.GetTextAsync("k").AsTask(),
                () => closed.GetJsonAsync<int>("k").AsTask(),
                () => closed.GetManyAsync(["k"]).AsTask(),
                () => closed.PutAsync("k", "v").AsTask(),
                () => closed.PutAsync("k", new MemoryStream()).AsTask(),
                () => closed.DeleteAsync("k").AsTask(),
                () => closed.ListAsync().AsTask(),
            ];
            foreach (var call in late)
            {
                await call.Should().ThrowAsync<ObjectDisposedException>().WithMessage("The namespace \"SETTINGS\" was disposed.*");
            }
        }
    }

    [Theory]
    [InlineData("plain", "\"plain\"")]
    [InlineData("", "\"\"")]
    [InlineData("line\nbreak\0", "\"line\\u000Abreak\\u0000\"")]
    [InlineData("quote\"back\\slash", "\"quote\\\"back\\\\slash\"")]
    [InlineData("turned\u202Eround", "\"turned\\u202Eround\"")]
    [InlineData("grün 😀", "\"grün 😀\"")]
    public void Quoted_key_is_visible_and_on_one_line(string key, string quoted) => VisibleKey.Quote(key).Should().Be(quoted);

    [Fact]
    public void Half_a_character_in_a_quoted_key_is_escaped() => VisibleKey.Quote("half\uD800").Should().Be("\"half\\uD800\"");

    [Fact]
    public void Quoted_key_is_shortened() =>
        VisibleKey.Quote(new string('k', 512)).Should().Be($"\"{new string('k', 64)}…\" (448 more characters)");
}
