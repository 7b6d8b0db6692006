using System.Net;
using System.Text.RegularExpressions;

namespace KvStore.AspNetCore.Tests;

/// <summary>The server that is ready to run, as a process of its own.</summary>
public sealed partial class KvServerTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-server-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task The_token_of_the_first_start_and_what_was_put_outlive_a_server_that_is_killed()
    {
        string secret;
        string id;
        using (var server = await KvServerProcess.StartAsync(_directory))
        {
            secret = NewToken().Match(server.Printed).Groups[1].Value;
            secret.Should().HaveLength(43);
            File.ReadAllText(Path.Combine(_directory, "data", "token.sha256")).Should().NotContain(secret);
            using var api = new ApiClient(server.Url, secret);
            id = (await api.PostAsync("namespaces", """{"title":"settings"}""")).Result.GetProperty("id").GetString()!;
            (await api.PutAsync($"namespaces/{id}/values/theme", "dark")).Status.Should().Be(HttpStatusCode.OK);

            using var runtime = new HttpClient();
            runtime.DefaultRequestHeaders.Add("X-Namespace", "settings");
            (await runtime.GetAsync(server.BindingUrl + "/theme?urlencoded=true")).StatusCode.Should().Be(HttpStatusCode.Unauthorized);
            runtime.DefaultRequestHeaders.Authorization = new("Bearer", NewBindingSecret().Match(server.Printed).Groups[1].Value);
            (await runtime.GetStringAsync(server.BindingUrl + "/theme?urlencoded=true")).Should().Be("dark");
            (await runtime.GetStringAsync(server.Url + "/healthz")).Should().Be("Healthy");
            (await runtime.GetAsync($"{server.Url}/client/v4/accounts/local/storage/kv/namespaces")).StatusCode.Should().Be(HttpStatusCode.Unauthorized);
        }

        using (var server = await KvServerProcess.StartAsync(_directory))
        {
            NewToken().IsMatch(server.Printed).Should().BeFalse("it is shown once");
            using var api = new ApiClient(server.Url, secret);
            (await api.GetAsync($"namespaces/{id}/values/theme")).Text.Should().Be("dark");
        }
    }

    [Fact]
    public async Task Configured_token_and_secret_are_required_and_stored_nowhere()
    {
        const string Token = "a-token-that-is-given-to-it";
        const string Secret = "a-secret-that-is-given-to-it";
        using var server = await KvServerProcess.StartAsync(_directory, Token, Secret);
        using var api = new ApiClient(server.Url, Token);
        (await api.PostAsync("namespaces", """{"title":"settings"}""")).Status.Should().Be(HttpStatusCode.OK);
        server.Printed.Should().NotContain(Token).And.NotContain(Secret);
        File.Exists(Path.Combine(_directory, "data", "token.sha256")).Should().BeFalse();

        using var runtime = new HttpClient();
        runtime.DefaultRequestHeaders.Add("X-Namespace", "settings");
        (await runtime.GetAsync(server.BindingUrl + "/")).StatusCode.Should().Be(HttpStatusCode.Unauthorized);
        runtime.DefaultRequestHeaders.Authorization = new("Bearer", Secret);
        (await runtime.GetAsync(server.BindingUrl + "/")).StatusCode.Should().Be(HttpStatusCode.OK);
    }

    [Fact]
    public async Task A_new_token_takes_the_place_of_the_old_one()
    {
        string old;
        using (var server = await KvServerProcess.StartAsync(_directory))
        {
            old = NewToken().Match(server.Printed).Groups[1].Value;
        }

        using (var server = await KvServerProcess.StartAsync(_directory, more: ["--new-token", "--new-binding-secret"]))
        {
            var secret = NewToken().Match(server.Printed).Groups[1].Value;
            secret.Should().HaveLength(43).And.NotBe(old);
            NewBindingSecret().IsMatch(server.Printed).Should().BeTrue();
            using var api = new ApiClient(server.Url, secret);
            (await api.GetAsync("namespaces")).Status.Should().Be(HttpStatusCode.OK);
            using var before = new ApiClient(server.Url, old);
            (await before.GetAsync("namespaces")).Status.Should().Be(HttpStatusCode.Unauthorized);
        }
    }

    [Fact]
    public async Task Only_a_flag_opens_the_endpoint_of_the_runtime()
    {
        using var server = await KvServerProcess.StartAsync(_directory, more: ["--open-binding"]);
        using var runtime = new HttpClient();
        runtime.DefaultRequestHeaders.Add("X-Namespace", "missing");

        (await runtime.GetAsync(server.BindingUrl + "/k")).ReasonPhrase.Should().Be("namespace not found", "it has come in");
        server.Printed.Should().NotContain("Bearer");
    }

    [Fact]
    public async Task A_request_leaves_no_line_and_the_root_leads_to_the_dashboard()
    {
        using var server = await KvServerProcess.StartAsync(_directory);
        using var http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false });

        var root = await http.GetAsync(server.Url + "/");
        root.StatusCode.Should().Be(HttpStatusCode.Redirect);
        root.Headers.Location!.ToString().Should().Be("/dashboard");
        (await http.GetAsync(server.Url + "/healthz")).StatusCode.Should().Be(HttpStatusCode.OK);
        (await http.GetAsync(server.Url + "/sign-in")).StatusCode.Should().Be(HttpStatusCode.OK);

        server.Printed.Should().Contain($"KvServer keeps its namespaces in {Path.Combine(_directory, "data")}\n");
        server.Printed.Should().NotContain("info:").And.NotContain("warn:").And.NotContain("Application started");
        server.Later.Should().BeEmpty();
    }

    [Fact]
    public async Task Printed_exports_have_the_token_the_first_time_and_ask_for_it_afterwards()
    {
        using (var first = await KvServerProcess.StartAsync(_directory))
        {
            var token = NewToken().Match(first.Printed).Groups[1].Value.Trim();
            first.Printed.Should().Contain($"export CLOUDFLARE_API_TOKEN={token}\n");
        }

        using var second = await KvServerProcess.StartAsync(_directory);

        second.Printed.Should().Contain("read -rsp 'token: ' CLOUDFLARE_API_TOKEN; export CLOUDFLARE_API_TOKEN\n")
            .And.NotContain("CLOUDFLARE_API_TOKEN=", "a placeholder would be exported as it is");
    }

    [GeneratedRegex("shown this once: (.+)")]
    private static partial Regex NewToken();

    [GeneratedRegex("shown this time only: (.+)")]
    private static partial Regex NewBindingSecret();
}
