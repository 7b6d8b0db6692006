using System.Net;
using System.Net.Sockets;
using System.Text;

namespace KvStore.AspNetCore.Tests;

public sealed class ValuesApiTests : ApiTest
{
    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("a%2Fb", "a/b")]
    [InlineData("a/b", "a/b")]
    [InlineData("a%252Fb", "a%2Fb")]
    [InlineData("%20a%20", " a ")]
    [InlineData("a+b", "a+b")]
    [InlineData("%C3%A9%F0%9F%98%80", "é😀")]
    [InlineData("a%00b", "a\0b")]
    [InlineData("%0A", "\n")]
    [InlineData("..%2F..%2Fetc%2Fpasswd", "../../etc/passwd")]
    [InlineData("%3Fq%23f", "?q#f")]
    public async Task A_key_is_decoded_once_and_may_be_anything(string sent, string key)
    {
        (await Api.PutAsync($"{Path}/values/{sent}", "value")).Status.Should().Be(HttpStatusCode.OK);

        (await Kv.GetTextAsync(key)).Should().Be("value");
        (await Api.GetAsync($"{Path}/values/{sent}")).Text.Should().Be("value");
        (await Api.DeleteAsync($"{Path}/values/{sent}")).Status.Should().Be(HttpStatusCode.OK);
        (await Kv.GetAsync(key)).Exists.Should().BeFalse();
    }

    [Fact]
    public async Task A_value_comes_back_byte_for_byte_with_its_expiration()
    {
        byte[] bytes = [0, 0xFF, 1, 0x80, 10, 13];

        await Api.SendAsync(HttpMethod.Put, $"{Path}/values/k?expiration_ttl=3600", new ByteArrayContent(bytes));

        var answer = await Api.GetAsync($"{Path}/values/k");
        answer.Body.Should().Equal(bytes);
        answer.Headers["Content-Length"].Should().Be("6");
        answer.Headers["expiration"].Should().Be((await Kv.GetAsync("k")).Expiration!.Value.ToUnixTimeSeconds().ToString());
    }

    [Fact]
    public async Task A_large_value_and_an_empty_one_come_back()
    {
        var large = new byte[25 * 1024 * 1024];
        new Random(7).NextBytes(large);

        (await Api.SendAsync(HttpMethod.Put, $"{Path}/values/large", new ByteArrayContent(large))).Status.Should().Be(HttpStatusCode.OK);
        (await Api.SendAsync(HttpMethod.Put, $"{Path}/values/empty", new ByteArrayContent([]))).Status.Should().Be(HttpStatusCode.OK);

        (await Api.GetAsync($"{Path}/values/large")).Body.AsSpan().SequenceEqual(large).Should().BeTrue();
        (await Api.GetAsync($"{Path}/values/empty")).Body.Should().BeEmpty();
    }

    [Fact]
    public async Task A_key_that_is_missing_is_404_with_code_10009()
    {
        var answer = await Api.GetAsync($"{Path}/values/missing");

        answer.Status.Should().Be(HttpStatusCode.NotFound);
        answer.Code.Should().Be(10009);
        (await Api.GetAsync($"{Path}/metadata/missing")).Code.Should().Be(10009);
        (await Api.DeleteAsync($"{Path}/values/missing")).Status.Should().Be(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("values/%ED%A0%80", HttpStatusCode.BadRequest)]
    [InlineData("values/%FF", HttpStatusCode.BadRequest)]
    [InlineData("values/%2", HttpStatusCode.BadRequest)]
    [InlineData("values/%zz", HttpStatusCode.BadRequest)]
    [InlineData("values/%2E", HttpStatusCode.BadRequest)]
    [InlineData("values/%2E%2E", HttpStatusCode.BadRequest)]
    [InlineData("values/", HttpStatusCode.NotFound)]
    [InlineData("values", HttpStatusCode.NotFound)]
    [InlineData("", HttpStatusCode.NotFound)]
    [InlineData("metadata/", HttpStatusCode.NotFound)]
    [InlineData("keys/", HttpStatusCode.NotFound)]
    [InlineData("bulk/", HttpStatusCode.NotFound)]
    [InlineData("bulk/put", HttpStatusCode.NotFound)]
    public async Task A_path_that_names_no_key_is_refused_and_changes_nothing(string path, HttpStatusCode status)
    {
        foreach (var method in new[] { HttpMethod.Get, HttpMethod.Put, HttpMethod.Delete })
        {
            var answer = await Api.SendAsync(method, $"{Path}/{path}", method == HttpMethod.Put ? new StringContent("v") : null);

            answer.Status.Should().Be(status, $"{method} {path}");
            answer.Code.Should().NotBe(10000);
        }

        Catalog.Find(Entry.Id).Should().NotBeNull();
        Kv.Count.Should().Be(0);
    }

    [Fact]
    public async Task A_key_that_is_too_long_is_414()
    {
        var path = $"{Path}/values/{new string('k', 513)}";

        (await Api.GetAsync(path)).Status.Should().Be(HttpStatusCode.RequestUriTooLong);
        (await Api.PutAsync(path, "v")).Status.Should().Be(HttpStatusCode.RequestUriTooLong);
        (await Api.PutAsync($"{Path}/values/{new string('k', 512)}", "v")).Status.Should().Be(HttpStatusCode.OK);
        (await Api.PutAsync($"{Path}/values/{string.Concat(Enumerable.Repeat("%F0%9F%98%80", 128))}", "v")).Status.Should().Be(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("expiration_ttl=59")]
    [InlineData("expiration_ttl=0")]
    [InlineData("expiration_ttl=-1")]
    [InlineData("expiration_ttl=abc")]
    [InlineData("expiration_ttl=99999999999")]
    [InlineData("expiration=1")]
    [InlineData("expiration=soon")]
    [InlineData("expiration_ttl=")]
    [InlineData("expiration_ttl")]
    [InlineData("expiration=")]
    [InlineData("expiration_ttl=%20")]
    [InlineData("expiration_ttl=60.5")]
    [InlineData("expiration_ttl=3600&expiration=")]
    [InlineData("expiration_ttl=&expiration_ttl=3600")]
    [InlineData("expiration_ttl=3600&expiration_ttl=7200")]
    public async Task An_expiration_that_is_out_of_range_is_400_and_keeps_the_value(string query)
    {
        await Kv.PutAsync("k", "before");

        var answer = await Api.PutAsync($"{Path}/values/k?{query}", "after");

        answer.Status.Should().Be(HttpStatusCode.BadRequest);
        answer.Code.Should().Be(10022);
        (await Kv.GetTextAsync("k")).Should().Be("before");

        // The connection goes on.
        (await Api.PutAsync($"{Path}/values/k", "later")).Status.Should().Be(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Expiration_of_any_length_is_refused_as_too_late()
    {
        var answer = await Api.PutAsync($"{Path}/values/k?expiration={new string('9', 43)}", "v");

        answer.Status.Should().Be(HttpStatusCode.BadRequest);
        answer.Text.Should().Contain("The latest expiration that can be stored is 4294967295");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_value_that_is_too_long_is_413_and_keeps_the_one_before(bool isLengthUnknown)
    {
        await Kv.PutAsync("k", "before");
        var stream = new MemoryStream(new byte[26_214_401]);
        using HttpContent content = new StreamContent(stream);
        content.Headers.ContentLength = isLengthUnknown ? null : stream.Length;
        if (isLengthUnknown)
        {
            content.Headers.Remove("Content-Length");
        }

        var answer = await Api.SendAsync(HttpMethod.Put, $"{Path}/values/k", isLengthUnknown ? new Unmeasured(new byte[26_214_401]) : content);

        answer.Status.Should().Be(HttpStatusCode.RequestEntityTooLarge);
        answer.Json.GetProperty("errors")[0].GetProperty("message").GetString().Should().Be("Value length of 26214401 exceeds limit of 26214400.");
        (await Kv.GetTextAsync("k")).Should().Be("before");
    }

    [Fact]
    public async Task A_value_with_metadata_is_put_in_parts_in_any_order()
    {
        using var first = new MultipartFormDataContent { { new StringContent("one"), "value" }, { new StringContent("{\"a\": 0}"), "metadata" } };
        using var second = new MultipartFormDataContent { { new StringContent("false"), "metadata" }, { new ByteArrayContent(new byte[200_000]), "value", "blob" } };

        (await Api.SendAsync(HttpMethod.Put, $"{Path}/values/a", first)).Status.Should().Be(HttpStatusCode.OK);
        (await Api.SendAsync(HttpMethod.Put, $"{Path}/values/b?expiration_ttl=60", second)).Status.Should().Be(HttpStatusCode.OK);

        (await Kv.GetTextAsync("a")).Should().Be("one");
        (await Api.GetAsync($"{Path}/metadata/a")).Result.GetRawText().Should().Be("{\"a\":0}");
        (await Api.GetAsync($"{Path}/metadata/b")).Result.GetRawText().Should().Be("false");
        (await Kv.GetAsync("b")).Length.Should().Be(200_000);
        (await Kv.GetAsync("b")).Expiration.Should().NotBeNull();
    }

    [Theory]
    [InlineData(26_214_401)]
    [InlineData(26_214_402)]
    [InlineData(26_300_000)]
    public async Task A_value_in_parts_that_is_too_long_is_413_however_its_bytes_arrive(int length)
    {
        await Kv.PutAsync("k", "before");
        using var content = new MultipartFormDataContent { { new StringContent("1"), "metadata" }, { new ByteArrayContent(new byte[length]), "value", "blob" } };

        var answer = await Api.SendAsync(HttpMethod.Put, $"{Path}/values/k", content);

        answer.Status.Should().Be(HttpStatusCode.RequestEntityTooLarge);
        answer.Code.Should().Be(10025);
        answer.Text.Should().Contain("Value length of 26214401 exceeds limit of 26214400.");
        (await Kv.GetTextAsync("k")).Should().Be("before");
    }

    [Theory]
    [InlineData("multipart/form-data", "x")]
    [InlineData("multipart/form-data; boundary=b", "x")]
    [InlineData("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n1\r\n--b--\r\n")]
    [InlineData("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n1\r\n--b--\r\n")]
    [InlineData("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nbroken off")]
    [InlineData("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nv\r\n--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nw\r\n--b--\r\n")]
    [InlineData("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\nv\r\n--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{no json\r\n--b--\r\n")]
    public async Task A_multipart_body_that_is_wrong_is_400_and_keeps_the_value(string type, string body)
    {
        await Kv.PutAsync("k", "before");
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
        content.Headers.TryAddWithoutValidation("Content-Type", type);

        var answer = await Api.SendAsync(HttpMethod.Put, $"{Path}/values/k", content);

        answer.Status.Should().Be(HttpStatusCode.BadRequest, answer.Text);
        (await Kv.GetTextAsync("k")).Should().Be("before");
    }

    [Theory]
    [InlineData("Content-Length: 1000", "the beginning of a value")]
    [InlineData("Transfer-Encoding: chunked", "5\r\nhello\r\n5\r\nhe")]
    public async Task An_upload_that_breaks_off_leaves_nothing_behind(string framing, string body)
    {
        await Kv.PutAsync("k", "before");
        var url = new Uri(Host.Url);
        using (var socket = new TcpClient())
        {
            await socket.ConnectAsync(url.Host, url.Port);
            await socket.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
                $"PUT /client/v4/accounts/local/storage/kv/{Path}/values/k HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {Secret}\r\n{framing}\r\n\r\n{body}"));
            socket.Client.LingerState = new LingerOption(true, 0);
        }

        // The server goes on, and has seen the end of that connection when it stops.
        (await Api.GetAsync($"{Path}/values/k")).Text.Should().Be("before");
        await Host.DisposeAsync();
        (await Kv.GetTextAsync("k")).Should().Be("before");
    }

    [Fact]
    public async Task A_namespace_that_is_unknown_is_404_with_code_10013()
    {
        foreach (var id in new[] { "0123456789abcdef0123456789abcdef", "tested", "..", "%2e%2e" })
        {
            var answer = await Api.GetAsync($"namespaces/{id}/values/k");

            answer.Status.Should().Be(HttpStatusCode.NotFound);
            answer.Code.Should().Be(10013);
        }
    }

    private sealed class Unmeasured(byte[] bytes) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => stream.WriteAsync(bytes).AsTask();

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
