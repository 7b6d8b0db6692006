using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;

namespace KvStore.Tests.Bulk;

public sealed class KvBulkTests : IDisposable
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));
    private readonly KvNamespace _kv;

    public KvBulkTests() => _kv = Create();

    public void Dispose() => _kv.Dispose();

    [Fact]
    public async Task Entries_go_in_with_value_expiration_and_metadata()
    {
        var result = await Import("""
            [
              { "key": "text", "value": "déjà vu" },
              { "value": "AP8=", "base64": true, "key": "bytes", "unknown": [1] },
              { "key": "ttl", "value": "", "expiration_ttl": 60, "metadata": { "a": [1, false] } },
              { "key": "at", "value": "x", "expiration": 1700000100, "base64": false, "metadata": null, "expiration_ttl": null }
            ]
            """);

        result.Should().BeEquivalentTo(new KvBulkResult(4, 0, []));
        (await _kv.GetTextAsync("text")).Should().Be("déjà vu");
        (await _kv.GetBytesAsync("bytes"))!.Value.ToArray().Should().Equal(0, 255);
        var ttl = await _kv.GetAsync("ttl");
        ttl.Exists.Should().BeTrue();
        ttl.Expiration.Should().Be(_time.GetUtcNow().AddSeconds(60));
        ttl.Metadata.ToString().Should().Be("""{"a":[1,false]}""");
        (await _kv.GetAsync("at")).Expiration.Should().Be(DateTimeOffset.FromUnixTimeSeconds(1_700_000_100));
        (await _kv.GetAsync("at")).Metadata.IsNull.Should().BeTrue();
    }

    [Theory]
    [InlineData("7", null, "*must be an object*")]
    [InlineData("""{ "value": "v" }""", null, "\"key\" is missing*")]
    [InlineData("""{ "key": 1, "value": "v" }""", null, "\"key\" is missing*")]
    [InlineData("""{ "key": "k" }""", "k", "\"value\" is missing*")]
    [InlineData("""{ "key": "k", "value": 5 }""", "k", "\"value\" is missing, or not a text*")]
    [InlineData("""{ "key": "k", "value": "?", "base64": true }""", "k", "*not base64*")]
    [InlineData("""{ "key": "k", "value": "v", "base64": "yes" }""", "k", "*true or false*")]
    [InlineData("""{ "key": "k", "value": "v", "expiration_ttl": 1.5 }""", "k", "*\"expiration_ttl\" must be a whole number*")]
    [InlineData("""{ "key": "k", "value": "v", "expiration": "soon" }""", "k", "*\"expiration\" must be a whole number*")]
    [InlineData("""{ "key": "k", "value": "v", "expiration_ttl": 0 }""", "k", "*Invalid expiration_ttl of 0*")]
    [InlineData("""{ "key": "k", "value": "v", "expiration": 1699999999 }""", "k", "*Invalid expiration of 1699999999*")]
    [InlineData("""{ "key": "..", "value": "v" }""", "..", "*not allowed as a key name*")]
    [InlineData("""{ "key": "k", "value": "\ud800" }""", "k", "*half of a surrogate pair*")]
    public async Task A_bad_entry_is_reported_with_its_index_and_the_rest_goes_in(string entry, string? key, string reason)
    {
        var result = await Import($$"""[ { "key": "before", "value": "1" }, {{entry}}, { "key": "after", "value": "2" } ]""");

        result.Imported.Should().Be(2);
        result.ErrorCount.Should().Be(1);
        var error = result.Errors.Should().ContainSingle().Subject;
        error.Index.Should().Be(1);
        error.Key.Should().Be(key);
        error.Reason.Should().Match(reason);
        _kv.Count.Should().Be(2);
    }

    [Fact]
    public async Task Only_the_first_thousand_errors_are_kept_but_all_are_counted()
    {
        var result = await Import($"[{string.Join(',', Enumerable.Repeat("0", 1500))}]");

        result.ErrorCount.Should().Be(1500);
        result.Errors.Should().HaveCount(1000);
    }

    [Fact]
    public async Task A_file_that_breaks_off_anywhere_says_so_and_puts_nothing_wrong()
    {
        var file = Encoding.UTF8.GetBytes("""[{"key":"a","value":"1"},{"key":"b","value":"2","metadata":{"m":[1]}}]""");
        for (var length = 0; length < file.Length; length++)
        {
            using var kv = Create();

            var act = () => KvBulk.ImportAsync(kv, new MemoryStream(file, 0, length)).AsTask();

            await act.Should().ThrowAsync<InvalidDataException>().WithMessage("*breaks after * entries*at byte*");
            (await kv.GetTextAsync("a")).Should().Match<string>(text => text == null || text == "1");
            (await kv.GetTextAsync("b")).Should().Match<string>(text => text == null || text == "2");
        }
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("[{\"key\":\"a\",\"value\":\"1\"},]")]
    [InlineData("[{\"key\":\"a\",\"value\":\"1\"}]x")]
    [InlineData("not json")]
    public async Task File_that_is_not_an_array_of_entries_is_an_error(string file)
    {
        var act = () => Import(file);

        await act.Should().ThrowAsync<InvalidDataException>().WithMessage("The bulk file is not a JSON array of entries*");
    }

    [Fact]
    public async Task A_cancelled_import_stops()
    {
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();

        var act = () => KvBulk.ImportAsync(_kv, new MemoryStream("[]"u8.ToArray()), cancelled.Token).AsTask();

        await act.Should().ThrowAsync<OperationCanceledException>();
    }

    [Fact]
    public async Task A_large_value_survives_the_round_trip()
    {
        var value = new byte[5_000_000];
        new Random(7).NextBytes(value);
        await _kv.PutAsync("large", value);

        using var copy = await RoundTrip();

        (await copy.GetBytesAsync("large"))!.Value.Span.SequenceEqual(value).Should().BeTrue();
    }

    [Fact]
    public async Task An_export_takes_only_the_prefix_it_is_given()
    {
        await _kv.PutAsync("a:1", "x");
        await _kv.PutAsync("b:1", "y");
        using var file = new MemoryStream();

        (await KvBulk.ExportAsync(_kv, file, "b:")).Should().Be(1);

        Encoding.UTF8.GetString(file.ToArray()).Should().Be("""[{"key":"b:1","value":"y"}]""");
    }

    [Fact]
    public void Exported_entries_are_equal_after_import()
    {
        var keys = Gen.Elements("a", "é", "\U0001F600", "\0", "a/b", "\uFFFF", "\"\\\n").NonEmptyListOf().Select(parts => string.Concat(parts.Take(20)));
        var entries =
            from key in keys
            from value in ArbMap.Default.GeneratorFor<byte[]>()
            from ttl in Gen.Choose(0, 3)
            from metadata in Gen.Elements<string?>(null, "0", "false", "\"\"", "{\"a\":\"\U0001F600\"}", "[1,2.50]")
            select (key, value, ttl, metadata);
        Prop.ForAll(entries.ListOf().ToArbitrary(), list =>
        {
            using var kv = Create();
            foreach (var (key, value, ttl, metadata) in list)
            {
                kv.PutAsync(key, value, new KvPutOptions
                {
                    ExpirationTtl = ttl == 0 ? null : TimeSpan.FromMinutes(ttl + 1),
                    Metadata = metadata is null ? default : KvMetadata.FromJson(metadata),
                }).AsTask().Wait();
            }

            using var copy = RoundTrip(kv).AsTask().Result;
            Contents(copy).Should().Equal(Contents(kv));
        }).QuickCheckThrowOnFailure();
    }

    private static List<string> Contents(KvNamespace kv) => [.. kv.ListAllAsync().ToBlockingEnumerable().Select(key =>
        $"{key.Name} {key.Expiration} {key.Metadata} {Convert.ToHexString(kv.GetBytesAsync(key.Name).AsTask().Result!.Value.Span)}")];

    private KvNamespace Create() => KvNamespace.Create("BULK", new KvNamespaceOptions { TimeProvider = _time });

    private ValueTask<KvNamespace> RoundTrip() => RoundTrip(_kv);

    private async ValueTask<KvNamespace> RoundTrip(KvNamespace kv)
    {
        using var file = new MemoryStream();
        var exported = await KvBulk.ExportAsync(kv, file);
        JsonDocument.Parse(file.ToArray()).RootElement.GetArrayLength().Should().Be((int)exported);
        var copy = Create();
        file.Position = 0;
        var result = await KvBulk.ImportAsync(copy, file);
        result.ErrorCount.Should().Be(0);
        result.Imported.Should().Be(exported);
        return copy;
    }

    private async Task<KvBulkResult> Import(string json) =>
        await KvBulk.ImportAsync(_kv, new MemoryStream(Encoding.UTF8.GetBytes(json)));
}
