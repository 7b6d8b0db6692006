using System.Globalization;
using System.Text;
using System.Text.Json;

namespace KvStore.AspNetCore.Tests.Wrangler;

/// <summary>The real wrangler against the REST API: what it prints, and what the store holds afterwards.</summary>
[Trait("Needs", "wrangler")]
public sealed class WranglerTests(WranglerFixture wrangler) : IClassFixture<WranglerFixture>
{
    [RealPartFact(RealPart.Wrangler)]
    public async Task Namespaces_are_created_listed_renamed_and_deleted()
    {
        var created = Text(await wrangler.RunAsync("kv", "namespace", "create", "sessions"));
        var entry = wrangler.Catalog.FindByIdOrTitle("sessions")!;
        created.Should().Contain(entry.Id);

        Listed(await wrangler.RunAsync("kv", "namespace", "list")).Should().Contain((entry.Id, "sessions"));

        var (code, output, errors) = await wrangler.TryRunAsync("kv", "namespace", "create", "sessions");
        code.Should().NotBe(0);
        (errors + Text(output)).Should().Contain("already exists");

        await wrangler.RunAsync("kv", "namespace", "rename", "--namespace-id", entry.Id, "--new-name", "visits");
        wrangler.Catalog.Find(entry.Id)!.Title.Should().Be("visits");
        Listed(await wrangler.RunAsync("kv", "namespace", "list")).Should().Contain((entry.Id, "visits"));

        await wrangler.RunAsync("kv", "namespace", "delete", "--namespace-id", entry.Id, "-y");
        wrangler.Catalog.Find(entry.Id).Should().BeNull();
    }

    [RealPartFact(RealPart.Wrangler)]
    public async Task Values_are_put_with_all_options_read_and_deleted()
    {
        var entry = await wrangler.Catalog.CreateAsync("values");
        var kv = entry.Namespace;
        byte[] binary = [0, 1, 2, 0xFF, 0xFE, 0x0A, 0x80, 0];
        var path = wrangler.WriteFile("value.bin", binary);
        var at = DateTimeOffset.FromUnixTimeSeconds(DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 86_400);

        await KeyAsync(entry, "put", "plain", "hello wörld");
        await KeyAsync(entry, "put", "a/b c%2F?#+é", "odd key");
        await KeyAsync(entry, "put", "ttl", "v", "--ttl", "3600");
        await KeyAsync(entry, "put", "at", "v", "--expiration", at.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        await KeyAsync(entry, "put", "meta", "v", "--metadata", """{"by":"ada","n":[1,2]}""");
        await KeyAsync(entry, "put", "falsy", "v", "--metadata", """{"zero":0,"no":false,"empty":""}""");
        await KeyAsync(entry, "put", "file", "--path", path);
        await KeyAsync(entry, "put", "file+meta", "--path", path, "--metadata", """{"on":false}""", "--ttl", "600");

        (await kv.GetTextAsync("plain")).Should().Be("hello wörld");
        (await kv.GetTextAsync("a/b c%2F?#+é")).Should().Be("odd key");
        (await kv.GetAsync("ttl")).Expiration.Should().BeCloseTo(DateTimeOffset.UtcNow.AddHours(1), TimeSpan.FromMinutes(2));
        (await kv.GetAsync("at")).Expiration.Should().Be(at);
        (await kv.GetAsync("meta")).Metadata.ToString().Should().Be("""{"by":"ada","n":[1,2]}""");
        (await kv.GetAsync("falsy")).Metadata.ToString().Should().Be("""{"zero":0,"no":false,"empty":""}""");
        (await kv.GetAsync("file")).GetBytes().ToArray().Should().Equal(binary);
        var both = await kv.GetAsync("file+meta");
        both.GetBytes().ToArray().Should().Equal(binary);
        both.Metadata.ToString().Should().Be("""{"on":false}""");
        both.Expiration.Should().NotBeNull();

        (await KeyAsync(entry, "get", "file")).Should().Equal(binary);
        Text(await KeyAsync(entry, "get", "a/b c%2F?#+é", "--text")).TrimEnd('\n').Should().Be("odd key");

        var (code, output, errors) = await wrangler.TryRunAsync("kv", "key", "get", "missing", "--namespace-id", entry.Id, "--remote");
        code.Should().NotBe(0);
        (errors + Text(output)).Should().Contain("404");

        // wrangler does not send metadata that is falsy as a whole, but shows what others have stored.
        foreach (var json in new[] { "0", "false", "\"\"" })
        {
            await kv.PutAsync("whole:" + json, "v", new KvPutOptions { Metadata = KvMetadata.FromJson(json) });
        }

        JsonSerializer.Deserialize<JsonElement>(await KeyAsync(entry, "list", "--prefix", "whole:")).EnumerateArray()
            .Select(key => key.GetProperty("metadata").GetRawText()).Should().Equal("\"\"", "0", "false");

        await KeyAsync(entry, "delete", "plain");
        await KeyAsync(entry, "delete", "never there");
        (await kv.GetAsync("plain")).Exists.Should().BeFalse();
        (await kv.GetAsync("ttl")).Exists.Should().BeTrue();
    }

    [RealPartFact(RealPart.Wrangler)]
    public async Task A_key_that_a_client_resolves_as_a_path_deletes_no_namespace()
    {
        var entry = await wrangler.Catalog.CreateAsync("dots");

        foreach (var key in new[] { ".", ".." })
        {
            foreach (var command in new[] { "delete", "get" })
            {
                var (code, _, _) = await wrangler.TryRunAsync("kv", "key", command, key, "--namespace-id", entry.Id, "--remote");
                code.Should().NotBe(0, $"{command} {key}");
            }
        }

        wrangler.Catalog.Find(entry.Id).Should().NotBeNull();
    }

    [RealPartFact(RealPart.Wrangler)]
    public async Task Many_keys_are_put_listed_read_and_deleted_in_bulk()
    {
        const int count = 2345;
        var entry = await wrangler.Catalog.CreateAsync("many");
        var kv = entry.Namespace;
        var pairs = Enumerable.Range(0, count).Select(i => (object)new { key = $"key:{i:D5}", value = $"value {i}", metadata = new { n = i } }).ToList();
        pairs.Add(new { key = "binary", value = Convert.ToBase64String([0xFF, 0, 0x80]), base64 = true, expiration_ttl = 3600 });
        var file = wrangler.WriteFile("pairs.json", JsonSerializer.SerializeToUtf8Bytes(pairs));

        await BulkAsync(entry, "put", file);

        ((KvNamespace)kv).Count.Should().Be(count + 1);
        (await kv.GetTextAsync("key:01234")).Should().Be("value 1234");
        (await kv.GetAsync("key:00003")).Metadata.ToString().Should().Be("""{"n":3}""");
        (await kv.GetAsync("binary")).GetBytes().ToArray().Should().Equal(0xFF, 0, 0x80);
        (await kv.GetAsync("binary")).Expiration.Should().NotBeNull();

        var listed = JsonSerializer.Deserialize<JsonElement>(await KeyAsync(entry, "list", "--prefix", "key:"));
        listed.EnumerateArray().Select(key => key.GetProperty("name").GetString())
            .Should().Equal(Enumerable.Range(0, count).Select(i => $"key:{i:D5}"));
        listed[3].GetProperty("metadata").GetProperty("n").GetInt32().Should().Be(3);

        var wanted = wrangler.WriteFile("wanted.json", """["key:00007","missing","key:00008"]"""u8.ToArray());
        var got = Text(await BulkAsync(entry, "get", wanted));
        got.Should().Contain("value 7").And.Contain("value 8").And.Contain("missing");

        var keys = wrangler.WriteFile(
            "keys.json", JsonSerializer.SerializeToUtf8Bytes(Enumerable.Range(0, count).Select(i => $"key:{i:D5}")));
        await BulkAsync(entry, "delete", keys, "--force");
        ((KvNamespace)kv).Count.Should().Be(1);
    }

    [RealPartFact(RealPart.Wrangler)]
    public async Task Pairs_of_which_one_can_never_be_stored_end_in_an_error()
    {
        var entry = await wrangler.Catalog.CreateAsync("refused");
        var file = wrangler.WriteFile("refused.json", """[{"key":"good","value":"v"},{"key":"bad","value":"v","expiration_ttl":30}]"""u8.ToArray());

        var (code, output, errors) = await wrangler.TryRunAsync("kv", "bulk", "put", file, "--namespace-id", entry.Id, "--remote");

        code.Should().NotBe(0);
        (errors + Text(output)).Should().Contain("Entry 1 cannot be stored").And.Contain("expiration_ttl of 30").And.NotContain("Success");
        ((KvNamespace)entry.Namespace).Count.Should().Be(0);
    }

    private Task<byte[]> KeyAsync(KvCatalogEntry entry, string command, params string[] arguments) =>
        wrangler.RunAsync(["kv", "key", command, .. arguments, "--namespace-id", entry.Id, "--remote"]);

    private Task<byte[]> BulkAsync(KvCatalogEntry entry, string command, params string[] arguments) =>
        wrangler.RunAsync(["kv", "bulk", command, .. arguments, "--namespace-id", entry.Id, "--remote"]);

    private static string Text(byte[] printed) => Encoding.UTF8.GetString(printed);

    private static IEnumerable<(string Id, string Title)> Listed(byte[] printed) => JsonSerializer.Deserialize<JsonElement>(printed)
        .EnumerateArray().Select(entry => (entry.GetProperty("id").GetString()!, entry.GetProperty("title").GetString()!));
}
