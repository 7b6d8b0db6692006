using System.Net;
using Microsoft.AspNetCore.Builder;

namespace KvStore.AspNetCore.Tests;

/// <summary>
/// What large values take on the disk, over HTTP, while the garbage collector does nothing: a file goes when its value was
/// replaced, however it was read before.
/// </summary>
[Collection(nameof(LoadTests))]
public sealed class DiskUseTests : ApiTest
{
    private const int Rounds = 40;
    private const int ValueBytes = 400_000;

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-disk-use-").FullName;

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Theory]
    [InlineData("GET", "values/k", null)]
    [InlineData("GET", "metadata/k", null)]
    [InlineData("POST", "bulk/get", """{"keys":["k"]}""")]
    [InlineData("POST", "bulk/get", """{"keys":["k"],"type":"json"}""")]
    [InlineData("POST", "bulk/get", """{"keys":["k","text"],"type":"json"}""")]
    [InlineData("GET", "keys", null)]
    [InlineData("RUNTIMEGET", "/k", null)]
    [InlineData("RUNTIMEPOST", "/bulk/get", """{"keys":["k"],"withMetadata":true}""")]
    public async Task Replaced_values_leave_no_files_however_they_were_read(string method, string path, string? body)
    {
        await using var runtime = await TestHost.StartAsync(Catalog, app => app.MapKvBinding());
        using var http = new HttpClient();
        http.DefaultRequestHeaders.Add("X-Namespace", Entry.Id);
        await Kv.PutAsync("text", "no json");
        var json = "\"" + new string('v', ValueBytes) + "\"";

        // As long as it lasts, nothing is collected.
        GC.TryStartNoGCRegion(200L * 1024 * 1024).Should().BeTrue();
        try
        {
            for (var i = 0; i < Rounds; i++)
            {
                await Kv.PutAsync("k", json);
                if (method.StartsWith("RUNTIME", StringComparison.Ordinal))
                {
                    using var request = new HttpRequestMessage(new HttpMethod(method["RUNTIME".Length..]), runtime.Url + path) { Content = body is null ? null : new StringContent(body) };
                    using var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
                    answer.StatusCode.Should().Be(HttpStatusCode.OK);
                    await (await answer.Content.ReadAsStreamAsync()).CopyToAsync(Stream.Null);
                }
                else
                {
                    await Api.SendAsync(new HttpMethod(method), $"{Path}/{path}", body is null ? null : new StringContent(body));
                }
            }

            await UntilFilesAreAtMostAsync(2);
        }
        finally
        {
            if (System.Runtime.GCSettings.LatencyMode == System.Runtime.GCLatencyMode.NoGCRegion)
            {
                GC.EndNoGCRegion();
            }
        }
    }

    protected override KvCatalogOptions Options() => new()
    {
        Directory = _directory,
        Persistence = new FilePersistenceOptions { Durability = Durability.Buffered },
    };

    // Files are removed in the background.
    private async Task UntilFilesAreAtMostAsync(int count)
    {
        using var end = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (Directory.GetFiles(_directory, "*.value", SearchOption.AllDirectories).Length > count)
        {
            await Task.Delay(20, end.Token);
        }
    }
}
