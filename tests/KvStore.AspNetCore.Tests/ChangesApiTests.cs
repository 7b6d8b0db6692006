using System.Net;
using System.Net.Http.Headers;

namespace KvStore.AspNetCore.Tests;

/// <summary>The changes of a namespace as server-sent events.</summary>
public sealed class ChangesApiTests : ApiTest
{
    private const string ReadSecret = "a-secret-that-may-only-read";

    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 11, 26, 0, 0, 0, TimeSpan.Zero));

    [Fact]
    public async Task Changes_are_events_with_their_revision_as_id_and_without_values()
    {
        await using var stream = await OpenAsync("?prefix=key%3A");
        stream.ContentType.Should().Be("text/event-stream");
        stream.Headers.GetValues("X-Accel-Buffering").Should().Equal("no");
        await Kv.PutAsync("other", "secret");
        await Kv.PutAsync("key:\né\"", "secret", new KvPutOptions { ExpirationTtl = TimeSpan.FromHours(1), Metadata = KvMetadata.FromJson("\"ada\"") });
        var entry = await Kv.GetAsync("key:\né\"");
        (await stream.NextAsync()).Should().Be(
            new Event("put", $"{entry.Revision}", $$"""{"key":"key:\né\"","revision":{{entry.Revision}},"expiration":{{entry.Expiration!.Value.ToUnixTimeSeconds()}},"metadata":"ada"}"""));
        await Kv.DeleteAsync("key:\né\"");
        var delete = await stream.NextAsync();
        delete.Name.Should().Be("delete");
        delete.Data.Should().Be($$"""{"key":"key:\né\"","revision":{{delete.Id}}}""");
        long.Parse(delete.Id).Should().BeGreaterThan(entry.Revision);
    }

    [Fact]
    public async Task Stream_that_breaks_before_its_mark_begins_again()
    {
        await Kv.PutAsync("b", "1");
        await Kv.PutAsync("a", "1");
        await using var stream = await OpenAsync("?start=current");
        var first = await stream.NextAsync();
        first.Should().Be(new Event("put", "0", $$"""{"key":"a","revision":{{(await Kv.GetAsync("a")).Revision}}}"""));
        (await stream.NextAsync()).Data.Should().Contain("\"b\"");
        var mark = await stream.NextAsync();
        mark.Should().Be(new Event("current", mark.Id, $$"""{"revision":{{mark.Id}}}"""));

        await using var again = await OpenAsync("?start=current", lastEventId: first.Id);
        (await again.NextAsync()).Name.Should().Be("reset");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Client_that_connects_again_is_shown_what_it_missed(bool byHeader)
    {
        string last;
        await using (var stream = await OpenAsync(""))
        {
            await Kv.PutAsync("a", "1");
            last = (await stream.NextAsync()).Id;
        }

        await Kv.PutAsync("b", "1");
        await Kv.DeleteAsync("a");
        await using var next = byHeader ? await OpenAsync("?after=1", lastEventId: last) : await OpenAsync($"?after={last}");
        (await next.NextAsync()).Data.Should().Contain("\"b\"");
        (await next.NextAsync()).Name.Should().Be("delete");
    }

    [Fact]
    public async Task Stream_that_breaks_before_its_first_event_goes_on_from_its_beginning()
    {
        await Kv.PutAsync("before", "1");
        await Kv.DeleteAsync("before");
        string beginning;
        await using (var stream = await OpenAsync("?prefix=a"))
        {
            beginning = stream.BeginningId!;
        }

        await Kv.PutAsync("a", "1");
        await Kv.DeleteAsync("a");
        await Kv.PutAsync("ab", "1");
        await using var again = await OpenAsync("?prefix=a", lastEventId: beginning);
        (await again.NextAsync()).Should().Match<Event>(first => first.Name == "delete" && first.Data.Contains("\"a\""));
        (await again.NextAsync()).Data.Should().Contain("\"ab\"");
    }

    [Fact]
    public async Task Revision_of_an_earlier_process_resets()
    {
        await Kv.PutAsync("a", "1");
        await using var stream = await OpenAsync("?after=12345&key=a");
        (await stream.NextAsync()).Should().Be(new Event("reset", "0", """{"revision":0}"""));
        (await stream.NextAsync()).Name.Should().Be("put");
        (await stream.NextAsync()).Name.Should().Be("current");
    }

    [Fact]
    public async Task Entry_that_expires_is_an_event()
    {
        await Kv.PutAsync("a", "1", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) });
        await using var stream = await OpenAsync("");
        _time.Advance(TimeSpan.FromSeconds(62));
        (await stream.NextAsync()).Name.Should().Be("expire");
    }

    [Fact]
    public async Task Stream_without_changes_is_kept_alive_by_comments()
    {
        await using var stream = await OpenAsync("");
        for (var i = 0; i < 3; i++)
        {
            var line = stream.NextLineAsync();
            while (!line.IsCompleted)
            {
                // The timer of the stream may not have begun yet.
                _time.Advance(TimeSpan.FromSeconds(15));
                await Task.WhenAny(line, Task.Delay(20));
            }

            (await line).Should().StartWith(":");
        }

        await Kv.PutAsync("a", "1");
        (await stream.NextAsync()).Name.Should().Be("put");
    }

    [Fact]
    public async Task Stream_ends_when_the_namespace_is_deleted()
    {
        await using var stream = await OpenAsync("");
        (await Api.DeleteAsync(Path)).Status.Should().Be(HttpStatusCode.OK);
        (await stream.ReadToEndAsync()).Should().NotContain("event:");
    }

    [Fact]
    public async Task Stream_ends_when_the_server_stops()
    {
        await using var stream = await OpenAsync("");
        var end = stream.ReadToEndAsync();
        await Host.StopAsync();
        (await end).Should().NotContain("event:");
    }

    [Fact]
    public async Task Watcher_goes_when_its_client_has_gone()
    {
        await using (await OpenAsync(""))
        {
            Kv.Changes.WatcherCount.Should().Be(1);
        }

        for (var i = 0; i < 1000 && Kv.Changes.WatcherCount > 0; i++)
        {
            await Task.Delay(10);
        }

        Kv.Changes.WatcherCount.Should().Be(0);
    }

    [Theory]
    [InlineData("?after=-1", "Invalid after of \"-1\". It must be the id of an event, *")]
    [InlineData("?after=%201", "Invalid after of *")]
    [InlineData("?after=1.0", "Invalid after of *")]
    [InlineData("?after=now", "Invalid after of *")]
    [InlineData("?after=9223372036854775808", "Invalid after of * from 0 to 9223372036854775807.")]
    [InlineData("?start=yesterday", "Invalid start of \"yesterday\". It must be now or current.")]
    [InlineData("?start=current&after=1", "start=current and after exclude each other: *")]
    [InlineData("?prefix=a&key=b", "prefix and key exclude each other: *")]
    [InlineData("?key=..", "\"..\" is not allowed as a key name.")]
    [InlineData("?key=.", "\".\" is not allowed as a key name.")]
    [InlineData("?key=", "key is empty. It must be the name of a key; leave it out to watch all keys.")]
    [InlineData("?key", "key is empty. *")]
    [InlineData("?key=&prefix=a", "prefix and key exclude each other: *")]
    [InlineData("?key=a&key=b", "key is given 2 times. Please specify it once.")]
    [InlineData("?prefix=a&prefix=b", "prefix is given 2 times. *")]
    [InlineData("?after=1&after=2", "after is given 2 times. *")]
    [InlineData("?start=now&start=current", "start is given 2 times. *")]
    public async Task Request_that_cannot_be_is_400(string query, string message)
    {
        var answer = await Api.GetAsync($"{Path}/changes{query}");
        answer.Status.Should().Be(HttpStatusCode.BadRequest);
        answer.Code.Should().Be(10022);
        answer.Message.Should().Match(message).And.NotContain("Kv").And.NotContain("Parameter", "the client knows no parameters but those of the query");
    }

    [Theory]
    [InlineData("prefix", "The prefix * has 513 bytes of UTF-8, and a key at most 512, so no key begins with it.")]
    [InlineData("key", "UTF-8 encoded length of 513 exceeds key length limit of 512.")]
    public async Task Prefix_or_key_that_is_too_long_is_414(string parameter, string message)
    {
        var answer = await Api.GetAsync($"{Path}/changes?{parameter}={new string('p', 513)}");
        answer.Status.Should().Be(HttpStatusCode.RequestUriTooLong);
        answer.Message.Should().Match(message);
    }

    [Fact]
    public async Task Empty_prefix_beside_a_key_is_none()
    {
        await using var stream = await OpenAsync("?prefix=&key=a");
        await Kv.PutAsync("b", "1");
        await Kv.PutAsync("a", "1");
        (await stream.NextAsync()).Data.Should().Contain("\"a\"");
    }

    [Fact]
    public async Task Method_that_is_not_get_is_405_and_no_token_is_401()
    {
        (await Api.PostAsync($"{Path}/changes", "")).Status.Should().Be(HttpStatusCode.MethodNotAllowed);
        using var stranger = new ApiClient(Host.Url, token: null);
        (await stranger.GetAsync($"{Path}/changes")).Status.Should().Be(HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task Token_that_may_read_may_watch_a_limited_number_of_streams()
    {
        await using var first = await OpenAsync("", secret: ReadSecret);
        await using var second = await OpenAsync("", secret: ReadSecret);
        using var reader = new ApiClient(Host.Url, ReadSecret);
        var answer = await reader.GetAsync($"{Path}/changes");
        answer.Status.Should().Be(HttpStatusCode.TooManyRequests);
        answer.Code.Should().Be(10027);
        await Kv.PutAsync("a", "1");
        (await first.NextAsync()).Name.Should().Be("put");
    }

    protected override KvCatalogOptions Options() => new() { TimeProvider = _time };

    protected override void Configure(KvApiOptions api)
    {
        api.ChangeStreamsMax = 2;
        api.AddToken(KvToken.FromSecret(Secret)).AddToken(KvToken.FromSecret(ReadSecret, KvAccess.Read));
    }

    private Task<EventReader> OpenAsync(string query, string? lastEventId = null, string secret = Secret) =>
        EventReader.OpenAsync($"{Host.Url}/client/v4/accounts/local/storage/kv/{Path}/changes{query}", secret, lastEventId);

    private sealed record Event(string Name, string Id, string Data);

    private sealed class EventReader : IAsyncDisposable
    {
        private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

        private readonly HttpClient _http;
        private readonly HttpResponseMessage _response;
        private readonly StreamReader _lines;

        private EventReader(HttpClient http, HttpResponseMessage response, Stream body)
        {
            _http = http;
            _response = response;
            _lines = new StreamReader(body);
        }

        public string? ContentType => _response.Content.Headers.ContentType?.MediaType;

        public HttpResponseHeaders Headers => _response.Headers;

        public static async Task<EventReader> OpenAsync(string url, string secret, string? lastEventId)
        {
            var http = new HttpClient();
            using var request = new HttpRequestMessage(HttpMethod.Get, url);
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", secret);
            if (lastEventId is not null)
            {
                request.Headers.Add("Last-Event-ID", lastEventId);
            }

            var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            response.StatusCode.Should().Be(HttpStatusCode.OK);
            var reader = new EventReader(http, response, await response.Content.ReadAsStreamAsync());
            var line = await reader.NextLineAsync();
            if (line.StartsWith("id: ", StringComparison.Ordinal))
            {
                reader.BeginningId = line["id: ".Length..];
                line = await reader.NextLineAsync();
            }

            line.Should().Be("retry: 3000");
            return reader;
        }

        /// <summary>The id that the stream begins with, if it has one.</summary>
        public string? BeginningId { get; private set; }

        /// <summary>The next line that is not empty.</summary>
        public async Task<string> NextLineAsync()
        {
            while (true)
            {
                var line = await _lines.ReadLineAsync().WaitAsync(s_patience);
                line.Should().NotBeNull("the stream goes on");
                if (line!.Length > 0)
                {
                    return line;
                }
            }
        }

        public async Task<Event> NextAsync()
        {
            var name = await NextLineAsync();
            while (name.StartsWith(':'))
            {
                name = await NextLineAsync();
            }

            return new Event(name["event: ".Length..], (await NextLineAsync())["id: ".Length..], (await NextLineAsync())["data: ".Length..]);
        }

        public Task<string> ReadToEndAsync() => _lines.ReadToEndAsync().WaitAsync(s_patience);

        public ValueTask DisposeAsync()
        {
            _lines.Dispose();
            _response.Dispose();
            _http.Dispose();
            return default;
        }
    }
}
