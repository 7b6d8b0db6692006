using System.Text;

namespace KvStore.Tests.Bulk;

public sealed class BulkReaderTests
{
    [Fact]
    public async Task Entries_are_read_one_after_the_other()
    {
        var longText = new string('x', 300_000);
        await using var reader = ReaderOf($$$"""
            [{"key": "a", "value": "é"}, {"key": "b", "value": "AAE=", "base64": true, "expiration_ttl": 60, "metadata": {"n": 1}},
             {"key": "c", "value": "{{{longText}}}"}]
            """);

        (await reader.ReadAsync()).Should().BeTrue();
        await using (var entry = await reader.GetEntryAsync())
        {
            (entry.Key, entry.ValueBytes, entry.IsStreamed, entry.Options).Should().Be(("a", 2L, false, null));
        }

        (await reader.ReadAsync()).Should().BeTrue();
        await using (var entry = await reader.GetEntryAsync())
        {
            (entry.Key, entry.ValueBytes).Should().Be(("b", 2L));
            (entry.Options!.ExpirationTtl, entry.Options.Metadata.ToString()).Should().Be((TimeSpan.FromMinutes(1), """{"n": 1}"""));
        }

        (await reader.ReadAsync()).Should().BeTrue();
        await using var kv = KvNamespace.Create("KV");
        await using (var entry = await reader.GetEntryAsync())
        {
            (entry.ValueBytes, entry.IsStreamed).Should().Be((300_000L, true));
            await kv.PutAsync(entry.Key, entry.Content, entry.Options);
        }

        (await kv.GetTextAsync("c")).Should().Be(longText);
        (await reader.ReadAsync()).Should().BeFalse();
        reader.Count.Should().Be(3);
    }

    [Fact]
    public async Task Keys_are_read_from_texts_and_from_what_a_listing_shows()
    {
        await using var reader = ReaderOf("""["a", {"name": "b"}, 7, {"key": "c"}]""");
        var keys = new List<string?>();
        while (await reader.ReadAsync())
        {
            try
            {
                keys.Add(reader.GetKey());
            }
            catch (FormatException)
            {
                keys.Add(null);
            }
        }

        keys.Should().Equal("a", "b", null, null);
    }

    [Theory]
    [InlineData("{}", 0)]
    [InlineData("", 0)]
    [InlineData("[\"a\", \"b\"", 2)]
    [InlineData("[\"a\"] secret", 1)]
    public async Task Broken_file_is_refused_without_a_quotation(string file, int count)
    {
        await using var reader = ReaderOf(file);
        var read = async () =>
        {
            while (await reader.ReadAsync())
            {
            }
        };

        (await read.Should().ThrowAsync<InvalidDataException>()).Which.Message.Should().EndWith($"it breaks after {count} entries.").And.NotContain("secret");
        reader.Invoking(r => r.GetKey()).Should().Throw<InvalidOperationException>();
    }

    [Theory]
    [InlineData("{\"a\": [1, 2.5e3, null, \"\\u0041\"]}", true)]
    [InlineData("\uFEFF7", true)]
    [InlineData("7 8", false)]
    [InlineData("", false)]
    [InlineData("{\"a\": }", false)]
    public async Task Value_is_json_or_not(string text, bool isJson) =>
        (await KvValue.Create(Encoding.UTF8.GetBytes(text)).IsJsonAsync()).Should().Be(isJson);

    [Fact]
    public async Task Key_that_does_not_exist_is_no_json() => (await default(KvValue).IsJsonAsync()).Should().BeFalse();

    private static KvBulkReader ReaderOf(string file) => new(new MemoryStream(Encoding.UTF8.GetBytes(file)));
}
