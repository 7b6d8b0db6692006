using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace KvStore.AspNetCore.Tests;

/// <summary>The dashboard of the server that is ready to run: its owner comes in with the token.</summary>
public sealed partial class KvServerSignInTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-sign-in-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task The_token_signs_in_a_session_outlives_a_restart_and_a_new_token_ends_it()
    {
        var cookies = new CookieContainer();
        string secret;
        using (var server = await KvServerProcess.StartAsync(_directory))
        {
            using var http = Client(server, cookies);
            secret = Secret().Match(server.Printed).Groups[1].Value;
            server.Printed.Should().Contain($"{server.Url}/dashboard");
            var challenge = await http.GetAsync("/dashboard/live");
            challenge.StatusCode.Should().Be(HttpStatusCode.Redirect);
            challenge.Headers.Location!.PathAndQuery.Should().Be("/sign-in?ReturnUrl=%2Fdashboard%2Flive");

            (await SignInAsync(http, "", "not-the-token-of-this-server")).StatusCode.Should().Be(HttpStatusCode.BadRequest);
            (await SignInAsync(http, "", "")).StatusCode.Should().Be(HttpStatusCode.BadRequest);
            (await SignInAsync(http, "", secret, antiforgery: "nonsense")).StatusCode.Should().Be(HttpStatusCode.BadRequest);
            (await http.GetAsync("/dashboard")).StatusCode.Should().Be(HttpStatusCode.Redirect);

            var signedIn = await SignInAsync(http, "?ReturnUrl=%2Fdashboard%2Flive", secret);
            signedIn.StatusCode.Should().Be(HttpStatusCode.SeeOther);
            signedIn.Headers.Location!.ToString().Should().Be("/dashboard/live");
            signedIn.Headers.GetValues("Set-Cookie").Should().Contain(cookie => cookie.StartsWith("kvserver=") && cookie.Contains("httponly") && cookie.Contains("samesite=strict"))
                .And.NotContain(cookie => cookie.Contains(secret));
            (await http.GetStringAsync("/dashboard")).Should().Contain("Sign out");
            if (!OperatingSystem.IsWindows())
            {
                File.GetUnixFileMode(Path.Combine(_directory, "data", "keys")).Should().Be(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
        }

        using (var server = await KvServerProcess.StartAsync(_directory))
        {
            using var http = Client(server, Moved(cookies, server));
            (await http.GetAsync("/dashboard")).StatusCode.Should().Be(HttpStatusCode.OK, "the session is kept");
            var copy = Moved(http.Cookies, server);
            var token = Antiforgery().Match(await http.GetStringAsync("/dashboard")).Groups[1].Value;
            (await http.PostAsync("/sign-out", Form(("__RequestVerificationToken", "nonsense")))).StatusCode.Should().Be(HttpStatusCode.BadRequest);
            (await http.GetAsync("/dashboard")).StatusCode.Should().Be(HttpStatusCode.OK);
            (await http.PostAsync("/sign-out", Form(("__RequestVerificationToken", token)))).StatusCode.Should().Be(HttpStatusCode.SeeOther);
            (await http.GetAsync("/dashboard")).StatusCode.Should().Be(HttpStatusCode.Redirect, "it has signed out");
            using (var thief = Client(server, copy))
            {
                (await thief.GetAsync("/dashboard")).StatusCode.Should().Be(HttpStatusCode.Redirect, "a copy of the cookie has signed out with it");
            }

            (await SignInAsync(http, "", secret)).StatusCode.Should().Be(HttpStatusCode.SeeOther);
            (await http.GetAsync("/dashboard")).StatusCode.Should().Be(HttpStatusCode.OK);
            cookies = http.Cookies;
        }

        File.Delete(Path.Combine(_directory, "data", "token.sha256"));
        using (var server = await KvServerProcess.StartAsync(_directory))
        {
            using var http = Client(server, Moved(cookies, server));
            (await http.GetAsync("/dashboard")).StatusCode.Should().Be(HttpStatusCode.Redirect, "the token is another");
        }
    }

    [Fact]
    public async Task An_address_that_tries_many_wrong_tokens_must_wait_and_others_need_not()
    {
        using var server = await KvServerProcess.StartAsync(_directory);
        var secret = Secret().Match(server.Printed).Groups[1].Value;
        using (var owner = Client(server, new CookieContainer()))
        {
            for (var i = 0; i < 15; i++)
            {
                (await SignInAsync(owner, "", secret)).StatusCode.Should().Be(HttpStatusCode.SeeOther, "the right token is not counted");
            }
        }

        using var guesser = Client(server, new CookieContainer());
        for (var i = 0; i < 10; i++)
        {
            (await SignInAsync(guesser, "", $"guess-number-{i:0000}")).StatusCode.Should().Be(HttpStatusCode.BadRequest);
        }

        foreach (var guess in new[] { "guess-number-0010", secret })
        {
            var refused = await SignInAsync(guesser, "", guess);
            refused.StatusCode.Should().Be(HttpStatusCode.TooManyRequests, "right or wrong, it is not looked at");
            refused.Headers.RetryAfter!.Delta.Should().BePositive().And.BeLessThanOrEqualTo(TimeSpan.FromMinutes(5));
            (await refused.Content.ReadAsStringAsync()).Should().Contain("role=\"alert\">Too many wrong tokens came from your address.");
            refused.Headers.Should().NotContain(header => header.Key == "Set-Cookie" && header.Value.Any(cookie => cookie.StartsWith("kvserver=")));
        }

        (await guesser.GetAsync("/dashboard")).StatusCode.Should().Be(HttpStatusCode.Redirect);
        if (OperatingSystem.IsLinux())
        {
            using var other = new SessionClient(server.Url, new CookieContainer(), IPAddress.Parse("127.0.0.2"));
            (await SignInAsync(other, "", secret)).StatusCode.Should().Be(HttpStatusCode.SeeOther, "it comes from another address");
        }
    }

    [Fact]
    public async Task Many_wrong_tokens_at_one_time_are_not_more_than_one_after_the_other()
    {
        using var server = await KvServerProcess.StartAsync(_directory);
        using var http = Client(server, new CookieContainer());
        var antiforgery = Antiforgery().Match(await http.GetStringAsync("/sign-in")).Groups[1].Value;

        var answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => SignInAsync(http, "", $"guess-number-{i:0000}", antiforgery)));

        answers.Count(answer => answer.StatusCode == HttpStatusCode.BadRequest).Should().Be(10);
        answers.Count(answer => answer.StatusCode == HttpStatusCode.TooManyRequests).Should().Be(30);
    }

    [Theory]
    [InlineData("https://elsewhere.example/")]
    [InlineData("//elsewhere.example/")]
    [InlineData("/\\elsewhere.example/")]
    [InlineData("/\t/elsewhere.example/")]
    [InlineData("javascript:alert(1)")]
    [InlineData("")]
    public async Task Signing_in_leads_nowhere_else(string address)
    {
        using var server = await KvServerProcess.StartAsync(_directory);
        using var http = Client(server, new CookieContainer());

        var signedIn = await SignInAsync(http, "?ReturnUrl=" + Uri.EscapeDataString(address), Secret().Match(server.Printed).Groups[1].Value);

        signedIn.Headers.Location!.ToString().Should().Be("/dashboard");
    }

    [Fact]
    public async Task Any_address_and_any_form_get_an_answer_that_is_no_server_error()
    {
        using var server = await KvServerProcess.StartAsync(_directory);
        using var http = Client(server, new CookieContainer());
        var secret = Secret().Match(server.Printed).Groups[1].Value;

        var signedIn = await SignInAsync(http, "?ReturnUrl=" + Uri.EscapeDataString("/dashboard/ns/é😀 x"), secret);
        signedIn.StatusCode.Should().Be(HttpStatusCode.SeeOther);
        signedIn.Headers.GetValues("Location").Single().Should().Be("/dashboard/ns/%C3%A9%F0%9F%98%80%20x");

        foreach (var type in new[] { "multipart/form-data", "multipart/form-data; boundary=b", "application/x-www-form-urlencoded" })
        {
            foreach (var body in new[] { "", "--b\r\ngarbage", "--b\r\n\r\n--bgarbage", "%%%=\u0000&&&", new string('&', 3000) })
            {
                using var content = new ByteArrayContent(System.Text.Encoding.UTF8.GetBytes(body));
                content.Headers.TryAddWithoutValidation("Content-Type", type);
                foreach (var path in new[] { "/sign-in", "/sign-out" })
                {
                    ((int)(await http.PostAsync(path, content)).StatusCode).Should().BeInRange(400, 499, $"{path} {type} {body}");
                }
            }
        }

        server.Later.Should().NotContain("fail:");
    }

    [Fact]
    public async Task The_page_that_asks_shows_nothing_of_what_it_is_sent_as_markup()
    {
        using var server = await KvServerProcess.StartAsync(_directory);
        using var http = Client(server, new CookieContainer());

        var page = await http.GetAsync("/sign-in?ReturnUrl=\"><script>alert(1)</script>");

        (await page.Content.ReadAsStringAsync()).Should().NotContain("<script");
        page.Headers.GetValues("Content-Security-Policy").Single().Should().Contain("default-src 'none'").And.Contain("frame-ancestors 'none'");
        page.Headers.CacheControl!.NoStore.Should().BeTrue();
        (await http.GetAsync("/sign-in.css")).StatusCode.Should().Be(HttpStatusCode.OK);
    }

    private static SessionClient Client(KvServerProcess server, CookieContainer cookies) => new(server.Url, cookies);

    // Another port is another place for a test's cookies, as it is not for a browser's.
    private static CookieContainer Moved(CookieContainer cookies, KvServerProcess server)
    {
        var moved = new CookieContainer();
        foreach (var cookie in cookies.GetAllCookies().Where(cookie => !cookie.Expired))
        {
            moved.Add(new Uri(server.Url), new Cookie(cookie.Name, cookie.Value, "/"));
        }

        return moved;
    }

    private static async Task<HttpResponseMessage> SignInAsync(SessionClient http, string query, string token, string? antiforgery = null)
    {
        antiforgery ??= Antiforgery().Match(await http.GetStringAsync("/sign-in" + query)).Groups[1].Value;
        return await http.PostAsync("/sign-in" + query, Form(("__RequestVerificationToken", antiforgery), ("token", token)));
    }

    private static FormUrlEncodedContent Form(params (string Name, string Value)[] fields) => new(fields.Select(field => KeyValuePair.Create(field.Name, field.Value)));

    [GeneratedRegex("shown this once: (\\S+)")]
    private static partial Regex Secret();

    [GeneratedRegex("name=\"__RequestVerificationToken\" value=\"([^\"]+)\"")]
    private static partial Regex Antiforgery();

    private sealed class SessionClient(string url, CookieContainer cookies, IPAddress? from = null)
        : HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, CookieContainer = cookies, ConnectCallback = (context, cancellationToken) => ConnectAsync(context.DnsEndPoint, from, cancellationToken) })
    {
        public CookieContainer Cookies => cookies;

        public new Task<HttpResponseMessage> GetAsync(string path) => base.GetAsync(url + path);

        public new Task<string> GetStringAsync(string path) => base.GetStringAsync(url + path);

        public new Task<HttpResponseMessage> PostAsync(string path, HttpContent content) => base.PostAsync(url + path, content);

        private static async ValueTask<Stream> ConnectAsync(DnsEndPoint to, IPAddress? from, CancellationToken cancellationToken)
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                if (from is not null)
                {
                    socket.Bind(new IPEndPoint(from.MapToIPv6(), 0));
                }

                await socket.ConnectAsync(to, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
    }
}
