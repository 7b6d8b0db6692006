using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvStore.DocsTests;

/// <summary>What snippets run in: an application on a free port of the loopback, in a directory of its own.</summary>
public abstract class SnippetHost : IAsyncDisposable
{
    private readonly Dictionary<string, KvNamespace> _namespaces = [];
    private WebApplication? _application;

    protected WebApplicationBuilder Builder { get; } = NewBuilder();

    protected WebApplication Application => _application ??= Builder.Build();

    /// <summary>Runs the snippet.</summary>
    public abstract Task RunAsync();

    /// <summary>Starts the application that the snippet has made, if it has made one, and asks it for every route once.</summary>
    /// <returns>What it answered: route and status.</returns>
    public async Task<IReadOnlyList<(string Route, int Status)>> AskAsync()
    {
        if (_application is null)
        {
            // What was registered must at least be consistent.
            _ = Application;
        }

        var routes = ((IEndpointRouteBuilder)Application).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .Select(endpoint => endpoint.RoutePattern.RawText ?? "/").Distinct().ToList();
        await Application.StartAsync();
        using var http = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { BaseAddress = new Uri(Application.Urls.First()) };
        var answers = new List<(string, int)>();
        foreach (var route in routes)
        {
            // Any text will do in the place of a parameter, and none in that of the rest of a path.
            var path = System.Text.RegularExpressions.Regex.Replace(route, @"/?\{\*[^}]*\}|\{[^}]*\}", match => match.Value.Contains('*', StringComparison.Ordinal) ? "" : "x");
            using var response = await http.GetAsync(new Uri(path.Length == 0 ? "/" : path, UriKind.Relative));
            answers.Add((route, (int)response.StatusCode));
        }

        await Application.StopAsync();
        return answers;
    }

    public async ValueTask DisposeAsync()
    {
        if (_application is not null)
        {
            await _application.DisposeAsync();
        }

        foreach (var kv in _namespaces.Values)
        {
            await kv.DisposeAsync();
        }

        GC.SuppressFinalize(this);
    }

    protected KvNamespace Namespace(string name)
    {
        if (!_namespaces.TryGetValue(name, out var kv))
        {
            _namespaces[name] = kv = KvNamespace.Create(name);
        }

        return kv;
    }

    private static WebApplicationBuilder NewBuilder()
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { ContentRootPath = Environment.CurrentDirectory });
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        return builder;
    }
}
