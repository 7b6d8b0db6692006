using System.Net;
using System.Text;

namespace KvStore.AspNetCore.Tests;

/// <summary>
/// The temporary file in which the value of a multipart upload waits for the end of the body. Runs while nothing else does,
/// since the folder for temporary files belongs to the process.
/// </summary>
[Collection(nameof(LoadTests))]
public sealed class TemporaryFileTests : ApiTest
{
    private const int MiB = 1024 * 1024;
    private const string PartOfValue = "--b\r\nContent-Disposition: form-data; name=\"value\"\r\n\r\n";

    // Windows and Unix each have their own.
    private static readonly string[] s_variables = ["TMP", "TMPDIR"];

    private readonly string?[] _before = [.. s_variables.Select(Environment.GetEnvironmentVariable)];
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-temporary-").FullName;

    public TemporaryFileTests() => Array.ForEach(s_variables, name => Environment.SetEnvironmentVariable(name, _directory));

    private string[] Files => Directory.GetFiles(_directory);

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        for (var i = 0; i < s_variables.Length; i++)
        {
            Environment.SetEnvironmentVariable(s_variables[i], _before[i]);
        }

        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task Temporary_file_is_gone_when_the_value_has_been_put()
    {
        var (status, _) = await UploadAsync(MiB, "\r\n--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n[1]\r\n--b--\r\n");

        status.Should().StartWith("HTTP/1.1 200");
        (await Kv.GetAsync("k")).Length.Should().Be(MiB);
        Files.Should().BeEmpty();
    }

    [Theory]
    [InlineData("\r\n--b\r\nContent-Disposition: form-data; name=\"unknown\"\r\n\r\nx\r\n--b--\r\n")]
    [InlineData("\r\n--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\nno JSON\r\n--b--\r\n")]
    [InlineData("\r\n--b\r\nno header\r\n\r\nx\r\n--b--\r\n")]
    [InlineData("\r\n--c--\r\n")]
    public async Task Temporary_file_is_gone_when_the_upload_is_refused(string end)
    {
        var (status, _) = await UploadAsync(MiB, end);

        status.Should().StartWith("HTTP/1.1 400");
        Kv.Count.Should().Be(0);
        Files.Should().BeEmpty();
    }

    [Fact]
    public async Task Temporary_file_is_gone_when_the_value_is_too_long()
    {
        var content = new MultipartFormDataContent { { new ByteArrayContent(new byte[(25 * MiB) + 1]), "value" } };

        (await Api.SendAsync(HttpMethod.Put, $"{Path}/values/k", content)).Status.Should().Be(HttpStatusCode.RequestEntityTooLarge);

        Files.Should().BeEmpty();
    }

    [Fact]
    public async Task Temporary_file_is_gone_when_the_namespace_refuses_the_value()
    {
        var content = new MultipartFormDataContent { { new ByteArrayContent(new byte[MiB]), "value" } };

        (await Api.SendAsync(HttpMethod.Put, $"{Path}/values/k?expiration_ttl=1", content)).Status.Should().Be(HttpStatusCode.BadRequest);

        Files.Should().BeEmpty();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Temporary_file_is_gone_when_the_client_goes_away(bool isReset)
    {
        using (var client = await BeginAsync(MiB, announced: 2 * MiB))
        {
            if (isReset)
            {
                client.Break();
            }
            else
            {
                client.EndSending();
                (await client.ReadToEndAsync()).Should().NotContain("200 OK");
            }

            await UntilAsync(() => Files.Length == 0);
        }

        Kv.Count.Should().Be(0);
    }

    private static async Task UntilAsync(Func<bool> isTrue)
    {
        using var end = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!isTrue())
        {
            await Task.Delay(10, end.Token);
        }
    }

    // Sends the value, sees its file, sends the end, and reads the answer.
    private async Task<(string Head, string Body)> UploadAsync(int valueBytes, string end)
    {
        using var client = await BeginAsync(valueBytes, PartOfValue.Length + valueBytes + end.Length);
        await client.SendAsync(end);
        var answer = (await client.ReadToEndAsync()).Split("\r\n\r\n", 2);
        return (answer[0], answer[1]);
    }

    private async Task<WireClient> BeginAsync(int valueBytes, int announced)
    {
        var client = await WireClient.ConnectAsync(Host.Url);
        await client.SendAsync(
            $"PUT /client/v4/accounts/local/storage/kv/{Path}/values/k HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {Secret}\r\nConnection: close\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {announced}\r\n\r\n{PartOfValue}");
        await client.SendAsync(Encoding.ASCII.GetBytes(new string('v', valueBytes)));
        await UntilAsync(() => Files.Length == 1);
        return client;
    }
}
