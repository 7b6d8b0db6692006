namespace KvStore.BrowserTests.Chromium;

/// <summary>The tests that share one browser, and so run one after the other.</summary>
[CollectionDefinition(nameof(ChromiumCollection))]
public sealed class ChromiumCollection : ICollectionFixture<ChromiumFixture>;

/// <summary>
/// A real Chromium without a window, as Debian packages it: one process for all tests of the collection. Each visitor has a
/// profile of its own in it. Without Chromium there are no tests; see <see cref="RealPart"/>.
/// </summary>
public sealed class ChromiumFixture : IAsyncLifetime
{
    private IPlaywright? _playwright;

    private IBrowser? _browser;

    /// <summary>The browser.</summary>
    public IBrowser Browser => _browser ?? throw new InvalidOperationException("Chromium is not installed; the test needs RealPart.Chromium.");

    public async Task InitializeAsync()
    {
        if (!File.Exists(Installed.Chromium))
        {
            return;
        }

        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = Installed.Chromium,
            Headless = true,

            // As root there is no sandbox. What a browser fetches of its own accord would fail on a closed network.
            ChromiumSandbox = false,
            Args =
            [
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        });
    }

    public async Task DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
        }

        _playwright?.Dispose();
    }
}
