using System.Net;
using System.Text;
using System.Text.Json;

namespace KvStore.Dashboard.Tests;

public sealed class TransferTests : DashboardTest
{
    private const int ImportBytesMax = 200_000;

    protected override void Configure(KvDashboardOptions options)
    {
        options.ImportBytesMax = ImportBytesMax;
        options.TransfersMax = 2;
    }

    [Fact]
    public async Task Exported_entries_are_equal_after_import()
    {
        await Kv.PutAsync("text", "déjà <vu> 😀");
        await Kv.PutAsync("bytes", new byte[] { 0, 0xFF, 0x80 });
        await Kv.PutAsync("with\0everything", "", new KvPutOptions { ExpirationTtl = TimeSpan.FromHours(1), Metadata = KvMetadata.FromJson("""{"a":[0,false,""]}""") });
        for (var i = 0; i < 2500; i++)
        {
            await Kv.PutAsync($"many/{i:0000}", $"{i}");
        }

        var file = await Browser.GetAsync($"{Ns}/export");
        file.Headers["Content-Disposition"].Should().Be("attachment; filename=\"tested.json\"");
        file.Headers["Content-Type"].Should().Be("application/octet-stream");
        var other = await Catalog.CreateAsync("copy");
        var imported = await Browser.PostPartsAsync($"/ns/{other.Id}/import", file.Body);

        imported.Status.Should().Be(HttpStatusCode.OK);
        imported.Main.Should().Contain("2,503 entries imported.");
        (await ContentsAsync(other.Namespace)).Should().Equal(await ContentsAsync(Kv));
    }

    [Fact]
    public async Task An_export_takes_only_the_prefix_it_is_given()
    {
        await Kv.PutAsync("a/1", "x");
        await Kv.PutAsync("b/1", "y");

        (await Browser.GetAsync($"{Ns}/export?prefix=b%2F")).Text.Should().Be("""[{"key":"b/1","value":"y"}]""");
        (await Browser.GetAsync($"{Ns}/export?prefix=nothing")).Text.Should().Be("[]");
        (await Browser.GetAsync($"{Ns}/export?prefix={new string('p', 513)}")).Status.Should().Be(HttpStatusCode.RequestUriTooLong);
    }

    [Fact]
    public async Task Entries_that_are_refused_are_listed_with_their_reasons_and_the_rest_goes_in()
    {
        var page = await ImportAsync("""[{"key":"good","value":"v"},{"key":"<b>bad</b>"},{"value":"v"},{"key":"soon","value":"v","expiration_ttl":5},{"key":"also good","value":"v"}]""");

        page.Status.Should().Be(HttpStatusCode.OK);
        page.Alert.Should().Contain("2 entries imported. 3 entries were refused");
        page.Main.Should().Contain("Entry 1 <code class=\"key\">&lt;b&gt;bad&lt;/b&gt;</code>").And.Contain("Entry 2:").And.Contain("Entry 3 <code class=\"key\">soon</code>").And.Contain("at least 60");
        Kv.Count.Should().Be(2);
    }

    [Fact]
    public async Task The_list_of_what_was_refused_is_bounded()
    {
        var page = await ImportAsync($"[{string.Join(',', Enumerable.Repeat("{\"key\":\"k\"}", 5000))}]");

        page.Alert.Should().Contain("5,000 entries were refused");
        page.Main.Should().Contain("Shown: the first 100.");
        System.Text.RegularExpressions.Regex.Count(page.Main, "<li>Entry ").Should().Be(100);
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData("{}", 0)]
    [InlineData("not json", 0)]
    [InlineData("[{\"key\":\"a\",\"value\":\"v\"},", 1)]
    [InlineData("[{\"key\":\"a\",\"value\":\"v\"}] trailing", 1)]
    [InlineData("[{\"key\":\"a\",\"value\":\"v\"},{\"key\":\"b\",\"val", 1)]
    public async Task Malformed_or_truncated_file_is_reported_with_the_number_of_entries_put(string file, int put)
    {
        var page = await ImportAsync(file);

        page.Status.Should().Be(HttpStatusCode.BadRequest);
        page.Alert.Should().Contain("not a JSON array").And.Contain($"of which {put} were put");
        Kv.Count.Should().Be(put);
    }

    [Fact]
    public async Task Truncated_upload_is_reported()
    {
        var whole = await DashboardClient.Parts(await Browser.TokenAsync(), Encoding.UTF8.GetBytes($"[{{\"key\":\"a\",\"value\":\"v\"}},{{\"key\":\"b\",\"value\":\"{new string('v', 50_000)}\"}}]")).ReadAsByteArrayAsync();
        var content = new ByteArrayContent(whole[..^1000]);
        content.Headers.TryAddWithoutValidation("Content-Type", $"multipart/form-data; boundary=\"{Encoding.ASCII.GetString(whole, 2, 36)}\"");

        var page = await Browser.PostContentAsync($"{Ns}/import", content);

        page.Status.Should().Be(HttpStatusCode.BadRequest);
        page.Alert.Should().Contain("broke off");
        (await Kv.GetAsync("b")).Exists.Should().BeFalse();
    }

    [Fact]
    public async Task A_file_over_the_limit_is_refused_whether_it_says_its_length_or_not()
    {
        var file = Encoding.UTF8.GetBytes($"[{string.Join(',', Enumerable.Range(0, 10_000).Select(i => $"{{\"key\":\"k{i}\",\"value\":\"{new string('v', 20)}\"}}"))}]");
        file.Length.Should().BeGreaterThan(ImportBytesMax + 64 * 1024);
        (await Browser.PostPartsAsync($"{Ns}/import", file)).Status.Should().Be(HttpStatusCode.RequestEntityTooLarge);
        Kv.Count.Should().Be(0, "it was not even begun");

        var parts = DashboardClient.Parts(await Browser.TokenAsync(), file);
        var streamed = new StreamContent(new NoLength(await parts.ReadAsStreamAsync()));
        streamed.Headers.ContentType = parts.Headers.ContentType;
        (await Browser.PostContentAsync($"{Ns}/import", streamed)).Status.Should().Be(HttpStatusCode.RequestEntityTooLarge);
        Kv.Count.Should().BeLessThan(10_000);
    }

    [Fact]
    public async Task Without_a_file_there_is_nothing_to_import()
    {
        (await Browser.PostPartsAsync($"{Ns}/import", null)).Alert.Should().Contain("Choose a file");
        (await Browser.PostAsync($"{Ns}/import", ("file", "[]"))).Alert.Should().Contain("Choose a file");
    }

    [Fact]
    public async Task No_more_files_are_under_way_at_one_time_than_there_may_be()
    {
        await Kv.PutAsync("large", new byte[20_000_000]);
        using var stop = new CancellationTokenSource();
        var slow = await Task.WhenAll(Enumerable.Range(0, 2).Select(_ => Browser.OpenAsync($"{Ns}/export", stop.Token)));

        var page = await Browser.GetAsync($"{Ns}/export");
        page.Status.Should().Be(HttpStatusCode.TooManyRequests);
        page.Alert.Should().Contain("2 imports and exports");

        foreach (var response in slow)
        {
            // A client that disconnects frees its slot.
            response.Dispose();
        }

        while ((await Browser.GetAsync($"{Ns}/export?prefix=none")).Status != HttpStatusCode.OK)
        {
            await Task.Yield();
        }
    }

    private static async Task<List<string>> ContentsAsync(IKvNamespace kv)
    {
        var contents = new List<string>();
        await foreach (var key in kv.ListAllAsync())
        {
            contents.Add(JsonSerializer.Serialize(new { key.Name, key.Expiration, Metadata = key.Metadata.ToString(), Value = (await kv.GetAsync(key.Name)).GetBytes().ToArray() }));
        }

        return contents;
    }

    private Task<DashboardClient.Page> ImportAsync(string file) => Browser.PostPartsAsync($"{Ns}/import", Encoding.UTF8.GetBytes(file));

    /// <summary>A stream that does not tell its length, so that it is sent in chunks.</summary>
    private sealed class NoLength(Stream inner) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override int Read(byte[] buffer, int offset, int count) => inner.Read(buffer, offset, count);

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }
    }
}
