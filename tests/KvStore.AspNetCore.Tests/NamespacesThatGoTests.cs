using System.Net;
using KvStore.Http;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace KvStore.AspNetCore.Tests;

/// <summary>Namespaces that are deleted while clients are at work in them, and those that no client can delete.</summary>
public sealed class NamespacesThatGoTests : ApiTest
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-going-").FullName;

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task Clients_of_a_namespace_that_is_deleted_get_not_found_and_nothing_else()
    {
        for (var round = 0; round < 5; round++)
        {
            var entry = await Catalog.CreateAsync($"going {round}");
            var path = "namespaces/" + entry.Id;
            var large = new byte[300_000];
            await entry.Namespace.PutAsync("k", "v");
            await entry.Namespace.PutAsync("large", large);
            var atWork = 0;
            var begun = new TaskCompletionSource();
            var clients = Enumerable.Range(0, 16).Select(async i =>
            {
                var answers = new List<ApiClient.Answer>();
                do
                {
                    answers.Add(await ((i % 8) switch
                    {
                        0 => Api.GetAsync($"{path}/values/k"),
                        1 => Api.GetAsync($"{path}/values/large"),
                        2 => Api.PutAsync($"{path}/values/k{i}", "v"),
                        3 => Api.SendAsync(HttpMethod.Put, $"{path}/values/large{i}", new ByteArrayContent(large)),
                        4 => Api.GetAsync($"{path}/keys"),
                        5 => Api.PutAsync($"{path}/bulk", """[{"key":"a","value":"1"},{"key":"b","value":"2"}]"""),
                        6 => Api.PostAsync($"{path}/bulk/get", """{"keys":["k","large"]}"""),
                        _ => Api.DeleteAsync($"{path}/values/k{i}"),
                    }));
                    if (Interlocked.Increment(ref atWork) == 64)
                    {
                        begun.SetResult();
                    }
                }
                while (answers[^1].Status == HttpStatusCode.OK || answers[^1].Status == HttpStatusCode.TooManyRequests);

                return answers[^1];
            }).ToList();

            await begun.Task;
            (await Api.DeleteAsync(path)).Status.Should().Be(HttpStatusCode.OK);

            foreach (var last in await Task.WhenAll(clients))
            {
                last.Status.Should().Be(HttpStatusCode.NotFound, last.Text);
                last.Code.Should().Be(10013);
            }

            Directory.Exists(System.IO.Path.Combine(_directory, "namespaces", entry.Id)).Should().BeFalse();
        }
    }

    [Theory]
    [InlineData(true, "HTTP/1.1 404 Not Found")]
    [InlineData(false, "HTTP/1.1 400 namespace not found")]
    public async Task Upload_into_a_namespace_deleted_meanwhile_is_not_found_and_leaves_no_file(bool isApi, string status)
    {
        const int length = 2_000_000;
        var entry = await Catalog.CreateAsync("going");
        var files = System.IO.Path.Combine(_directory, "namespaces", entry.Id);
        await using var binding = await TestHost.StartAsync(Catalog, app => app.MapKvBinding());
        using var client = await WireClient.ConnectAsync(isApi ? Host.Url : binding.Url);
        await client.SendAsync(isApi
            ? $"PUT /client/v4/accounts/local/storage/kv/namespaces/{entry.Id}/values/k HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {Secret}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
            : $"PUT /k HTTP/1.1\r\nHost: fake-host\r\nX-Namespace: going\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        await client.SendAsync(new byte[length - 1]);
        await UntilAsync(() => Directory.EnumerateFiles(files, "*.value").Any());

        (await Api.DeleteAsync("namespaces/" + entry.Id)).Status.Should().Be(HttpStatusCode.OK);
        Directory.Exists(files).Should().BeFalse();
        try
        {
            await client.SendAsync(new byte[1]);
        }
        catch (IOException)
        {
            // Refused before its end came.
        }

        // A connection that is reset while bytes are under way may take the answer along.
        (await client.ReadToEndAsync()).Should().Match(answer => answer.Length == 0 || answer.StartsWith(status));
        Directory.Exists(files).Should().BeFalse();
    }

    [Fact]
    public void Error_caused_by_a_deleted_namespace_is_not_found_and_else_a_server_error()
    {
        foreach (var (e, otherwise) in new (Exception, int?)[]
        {
            (new ObjectDisposedException("KvNamespace"), 503), (new KvPersistenceException("The log is closed."), 503),
            (new FileNotFoundException(), null), (new DirectoryNotFoundException(), null), (new UnauthorizedAccessException(), null),
            (new KvException(410, "GET", "The large value was deleted"), 410),
        })
        {
            Failure.Of(e, isNamespaceGone: true).Should().Be(Failure.NamespaceNotFound);
            Failure.Of(e, isNamespaceGone: false)?.Status.Should().Be(otherwise);
            (Failure.Of(e, isNamespaceGone: false) is null).Should().Be(otherwise is null);
        }

        foreach (var isGone in new[] { true, false })
        {
            Failure.Of(new InvalidOperationException("a fault of the program"), isGone).Should().BeNull();
            Failure.Of(new KvException(429, "PUT", "Too Many Requests"), isGone)!.Value.Status.Should().Be(429);
            Failure.Of(new BadHttpRequestException("the body ends early", 400), isGone)!.Value.Status.Should().Be(400);
        }
    }

    [Fact]
    public async Task Namespace_closed_by_the_code_that_registered_it_is_unavailable_not_unknown()
    {
        await using var kv = KvNamespace.Create("CACHE_KV");
        await using var catalog = await KvNamespaceCatalog.OpenAsync(registered: [kv]);
        await using var host = await TestHost.StartAsync(catalog, app => app.MapKvApi(Configure));
        using var api = new ApiClient(host.Url, Secret);
        var path = $"namespaces/{catalog.Entries.Single().Id}";
        await kv.DisposeAsync();

        foreach (var answer in new[] { await api.GetAsync($"{path}/values/k"), await api.PutAsync($"{path}/values/k", "v"), await api.GetAsync($"{path}/keys") })
        {
            answer.Status.Should().Be(HttpStatusCode.ServiceUnavailable);
            answer.Code.Should().Be(10001);
        }
    }

    [Fact]
    public async Task A_namespace_whose_disk_fails_as_it_is_closed_is_deleted_all_the_same()
    {
        var directory = System.IO.Path.Combine(_directory, "other");
        var options = new KvCatalogOptions
        {
            Directory = directory,

            // Nothing is written before it is closed, and then more than fits into the file that is open.
            Persistence = new FilePersistenceOptions { Durability = Durability.Interval, Interval = TimeSpan.FromHours(1), LogFileBytes = 4096 },
        };
        await using (var catalog = await KvNamespaceCatalog.OpenAsync(options))
        {
            var entry = await catalog.CreateAsync("going");
            for (var i = 0; i < 10; i++)
            {
                await entry.Namespace.PutAsync($"k{i}", new byte[3000]);
            }

            Directory.Delete(System.IO.Path.Combine(directory, "namespaces", entry.Id), recursive: true);
            await catalog.DeleteAsync(entry.Id);

            catalog.Entries.Should().BeEmpty();
            (await catalog.CreateAsync("going")).Id.Should().NotBe(entry.Id);
        }

        await using var again = await KvNamespaceCatalog.OpenAsync(options);
        again.Entries.Should().ContainSingle();
    }

    [Fact]
    public async Task Namespace_registered_in_code_is_usable_but_cannot_be_renamed_or_deleted()
    {
        await using var kv = KvNamespace.Create("CACHE_KV");
        await using var catalog = await KvNamespaceCatalog.OpenAsync(registered: [kv]);
        await using var host = await TestHost.StartAsync(catalog, app => app.MapKvApi(Configure));
        using var api = new ApiClient(host.Url, Secret);
        var path = "namespaces/" + (await api.GetAsync("namespaces")).Result[0].GetProperty("id").GetString();

        (await api.PutAsync($"{path}/values/k", "v")).Status.Should().Be(HttpStatusCode.OK);
        foreach (var answer in new[] { await api.PutAsync(path, """{"title":"other"}"""), await api.DeleteAsync(path) })
        {
            answer.Status.Should().Be(HttpStatusCode.Forbidden);
            answer.Code.Should().Be(10026);
        }

        (await kv.GetTextAsync("k")).Should().Be("v");
    }

    [Theory]
    [InlineData("PUT", "/values/k", 25 * 1024 * 1024)]
    [InlineData("PUT", "/bulk", 100 * 1024 * 1024)]
    [InlineData("DELETE", "/bulk", 100 * 1024 * 1024)]
    [InlineData("POST", "/bulk/delete", 100 * 1024 * 1024)]
    [InlineData("POST", "/bulk/get", 1024 * 1024)]
    [InlineData("PUT", "", 16 * 1024)]
    public async Task A_body_that_is_announced_to_be_too_long_is_413_before_a_byte_of_it_is_sent(string method, string path, int limit)
    {
        using var client = await WireClient.ConnectAsync(Host.Url);
        await client.SendAsync(
            $"{method} /client/v4/accounts/local/storage/kv/{Path}{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {Secret}\r\nContent-Length: {limit + 1L}\r\n\r\n");

        (await client.ReadHeadAsync()).Should().StartWith("HTTP/1.1 413");
        Catalog.Find(Entry.Id)!.Title.Should().Be("tested");
    }

    [Fact]
    public async Task A_cursor_of_another_namespace_says_after_which_key_to_go_on()
    {
        var other = await Catalog.CreateAsync("other");
        for (var i = 0; i < 11; i++)
        {
            await Kv.PutAsync($"k{i:D2}", "v");
            await other.Namespace.PutAsync($"k{i:D2}x", "v");
        }

        var cursor = (await Api.GetAsync($"{Path}/keys?limit=10")).Json.GetProperty("result_info").GetProperty("cursor").GetString();

        (await Api.GetAsync($"namespaces/{other.Id}/keys?cursor={cursor}")).Result.EnumerateArray()
            .Select(key => key.GetProperty("name").GetString()).Should().Equal("k09x", "k10x");
        (await Api.GetAsync($"{Path}/keys?cursor={cursor}x")).Status.Should().Be(HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task More_than_10_000_keys_to_delete_are_refused()
    {
        await Kv.PutAsync("k10000", "v");
        var keys = System.Text.Json.JsonSerializer.Serialize(Enumerable.Range(0, 10_001).Select(i => $"k{i}"));

        (await Api.PostAsync($"{Path}/bulk/delete", keys)).Status.Should().Be(HttpStatusCode.BadRequest);

        (await Kv.GetAsync("k10000")).Exists.Should().BeTrue();
    }

    private static async Task UntilAsync(Func<bool> isTrue)
    {
        using var end = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!isTrue())
        {
            await Task.Delay(10, end.Token);
        }
    }

    protected override KvCatalogOptions Options() => new()
    {
        Directory = _directory,
        Persistence = new FilePersistenceOptions { Durability = Durability.Buffered },
    };
}
