namespace KvStore.BrowserTests.Chromium;

/// <summary>
/// A test in the browser, with an application of its own on a free port of the loopback. Fails when anything happened to any
/// of its visitors that must not (see <see cref="Visitor.Problems"/>), whatever else it looks at.
/// </summary>
[Collection(nameof(ChromiumCollection))]
public abstract class BrowserTest(ChromiumFixture chromium) : IAsyncLifetime
{
    private readonly List<Visitor> _visitors = [];

    private Uri? _application;

    /// <summary>The size of a small phone.</summary>
    public static ViewportSize Phone => new() { Width = 360, Height = 740 };

    /// <summary>The application's address.</summary>
    protected Uri Application => _application!;

    /// <summary>The first visitor.</summary>
    protected Visitor Visitor => _visitors[0];

    /// <summary>The first visitor's page.</summary>
    protected IPage Page => Visitor.Page;

    public async Task InitializeAsync()
    {
        var browser = chromium.Browser;
        _application = await StartAsync();
        _visitors.Add(await Visitor.ArriveAsync(browser, _application, FirstVisitor()));
    }

    public async Task DisposeAsync()
    {
        // Not started: there is nothing to look at.
        if (_application is null)
        {
            return;
        }

        foreach (var visitor in _visitors)
        {
            await visitor.DisposeAsync();
        }

        await StopAsync();
        _visitors.SelectMany(visitor => visitor.Problems).Should().BeEmpty("nothing of the kind may happen to a visitor");
    }

    /// <summary>Starts the application, which listens on a free port of the loopback.</summary>
    /// <returns>Its address.</returns>
    protected abstract Task<Uri> StartAsync();

    /// <summary>Stops it, and removes what it left.</summary>
    protected abstract Task StopAsync();

    /// <summary>How the first visitor's browser is set up.</summary>
    protected virtual BrowserNewContextOptions FirstVisitor() => new();

    /// <summary>Somebody else, at another browser.</summary>
    /// <param name="options">How the browser is set up.</param>
    /// <param name="application">The address of another application; null for the application of the test.</param>
    protected async Task<Visitor> ArriveAsync(BrowserNewContextOptions? options = null, Uri? application = null)
    {
        var visitor = await Visitor.ArriveAsync(chromium.Browser, application ?? Application, options);
        _visitors.Add(visitor);
        return visitor;
    }
}
