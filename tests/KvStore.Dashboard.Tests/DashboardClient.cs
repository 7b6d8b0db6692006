using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace KvStore.Dashboard.Tests;

/// <summary>A browser without a screen: keeps cookies, follows nothing by itself, sends forms as browsers do.</summary>
internal sealed partial class DashboardClient : IDisposable
{
    private const string TokenField = "__RequestVerificationToken";

    private readonly HttpClient _http;
    private readonly string _root;

    public DashboardClient(string url, string? user = DashboardHost.Owner, string prefix = "/dashboard")
    {
        _root = url + prefix;
        _http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            CookieContainer = new CookieContainer(),

            // A client that leaves a stream disconnects at once, as when a tab is closed. By default HttpClient reads on for two
            // seconds.
            ResponseDrainTimeout = TimeSpan.Zero,
        });
        if (user is not null)
        {
            _http.DefaultRequestHeaders.Add("X-User", user);
        }
    }

    public async Task<Page> GetAsync(string path) => await SendAsync(new HttpRequestMessage(HttpMethod.Get, _root + path));

    public Task<HttpResponseMessage> OpenAsync(string path, CancellationToken cancellationToken = default) =>
        _http.GetAsync(_root + path, HttpCompletionOption.ResponseHeadersRead, cancellationToken);

    /// <summary>Sends a form with the token of the page that it is on.</summary>
    public async Task<Page> PostAsync(string path, params (string Name, string Value)[] fields) =>
        await PostWithAsync(await TokenAsync(), path, fields);

    /// <summary>Sends a form with this token, or none.</summary>
    public Task<Page> PostWithAsync(string? token, string path, params (string Name, string Value)[] fields) => SendAsync(new HttpRequestMessage(HttpMethod.Post, _root + path)
    {
        Content = new FormUrlEncodedContent(WithToken(token, fields).Select(field => KeyValuePair.Create(field.Name, field.Value))),
    });

    /// <summary>Sends a form in parts, with a file if there is one.</summary>
    public async Task<Page> PostPartsAsync(string path, byte[]? file, params (string Name, string Value)[] fields) =>
        await PostContentAsync(path, Parts(await TokenAsync(), file, fields));

    public Task<Page> PostContentAsync(string path, HttpContent content, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, _root + path) { Content = content };
        foreach (var (name, value) in headers)
        {
            request.Headers.Add(name, value);
        }

        return SendAsync(request);
    }

    public static MultipartFormDataContent Parts(string? token, byte[]? file, params (string Name, string Value)[] fields)
    {
        var content = new MultipartFormDataContent();
        foreach (var (name, value) in WithToken(token, fields))
        {
            content.Add(new ByteArrayContent(Encoding.UTF8.GetBytes(value)), $"\"{name}\"");
        }

        if (file is not null)
        {
            content.Add(new ByteArrayContent(file), "\"file\"", "\"a.bin\"");
        }

        return content;
    }

    /// <summary>The token of a page, with its cookie kept.</summary>
    public async Task<string> TokenAsync() => Token().Match((await GetAsync("")).Text).Groups[1].Value;

    public void Dispose() => _http.Dispose();

    private static IEnumerable<(string Name, string Value)> WithToken(string? token, (string Name, string Value)[] fields) =>
        token is null ? fields : fields.Prepend((TokenField, token));

    private async Task<Page> SendAsync(HttpRequestMessage request)
    {
        using (request)
        {
            using var response = await _http.SendAsync(request);
            var headers = response.Headers.Concat(response.Content.Headers).ToDictionary(h => h.Key, h => string.Join(',', h.Value), StringComparer.OrdinalIgnoreCase);
            return new Page(response.StatusCode, headers, await response.Content.ReadAsByteArrayAsync());
        }
    }

    [GeneratedRegex("name=\"__RequestVerificationToken\" value=\"([^\"]+)\"")]
    private static partial Regex Token();

    /// <summary>What came back.</summary>
    internal sealed partial record Page(HttpStatusCode Status, IReadOnlyDictionary<string, string> Headers, byte[] Body)
    {
        public string Text => Encoding.UTF8.GetString(Body);

        /// <summary>The content, without what every page has around it.</summary>
        public string Main => Text[(Text.IndexOf("<main", StringComparison.Ordinal) is var at and >= 0 ? at : 0)..];

        public string Location => Headers["Location"];

        /// <summary>The texts that are said to who uses a screen reader, decoded.</summary>
        public string Alert => WebUtility.HtmlDecode(string.Join('\n', Alerts().Matches(Text).Select(match => match.Groups[1].Value)));

        /// <summary>The value of a hidden field.</summary>
        public string Field(string name) => WebUtility.HtmlDecode(Regex.Match(Text, $"name=\"{name}\" value=\"([^\"]*)\"").Groups[1].Value);

        /// <summary>The text of a textarea as a browser shows it.</summary>
        public string Area(string name)
        {
            var text = WebUtility.HtmlDecode(Regex.Match(Text, $"<textarea id=\"{name}\"[^>]*>([^<]*)</textarea>").Groups[1].Value);
            return text.StartsWith('\n') ? text[1..] : text;
        }

        /// <summary>The links in the content, decoded.</summary>
        public IReadOnlyList<string> Links => [.. Hrefs().Matches(Main).Select(match => WebUtility.HtmlDecode(match.Groups[1].Value))];

        [GeneratedRegex("role=\"alert\">([^<]*)<")]
        private static partial Regex Alerts();

        [GeneratedRegex("href=\"([^\"]*)\"")]
        private static partial Regex Hrefs();
    }
}
