using KvStore.Hybrid;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvStore.Caching.Tests.Hybrid;

/// <summary>A HybridCache in a namespace, as an application registers it. A persisted one can be restarted.</summary>
internal sealed class HybridHost : IAsyncDisposable
{
    public const string Name = "CACHE_KV";

    private readonly Action<KvHybridCacheOptions>? _configure;
    private readonly Action<IServiceCollection>? _register;
    private readonly Func<KvNamespaceOptions, KvNamespaceOptions> _namespaceOptions;
    private readonly string? _directory;
    private ServiceProvider _services;

    public HybridHost(
        bool isPersisted = false,
        Action<KvHybridCacheOptions>? configure = null,
        Action<IServiceCollection>? register = null,
        Func<KvNamespaceOptions, KvNamespaceOptions>? namespaceOptions = null,
        TimeProvider? time = null)
    {
        _configure = configure;
        _register = register;
        _namespaceOptions = namespaceOptions ?? (options => options);
        Time = time ?? new FakeTimeProvider(new DateTimeOffset(2026, 11, 27, 8, 0, 0, TimeSpan.Zero));
        _directory = isPersisted ? Directory.CreateTempSubdirectory("kvstore-hybrid-").FullName : null;
        _services = Build();
    }

    public TimeProvider Time { get; }

    public FakeTimeProvider Fake => (FakeTimeProvider)Time;

    public LogLines Log { get; } = new();

    public IServiceProvider Services => _services;

    public HybridCache Cache => _services.GetRequiredService<HybridCache>();

    public KvHybridCache Internals => (KvHybridCache)Cache;

    public KvNamespace Kv => _services.GetRequiredKeyedService<KvNamespace>(Name);

    /// <summary>Ends the application and starts it again. What is in memory alone is lost.</summary>
    public async Task RestartAsync()
    {
        await _services.DisposeAsync();
        _services = Build();
    }

    /// <summary>The keys in the namespace.</summary>
    public async Task<string[]> KeysAsync()
    {
        var keys = new List<string>();
        await foreach (var key in Kv.ListAllAsync())
        {
            keys.Add(key.Name);
        }

        return [.. keys];
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        if (_directory is not null)
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    private ServiceProvider Build()
    {
        var services = new ServiceCollection();
        services.AddSingleton(Time);
        services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Debug).AddProvider(Log));
        services.AddKvNamespace(Name, kv => kv.Configure(options => _namespaceOptions(_directory is null
            ? options
            : options with { Persistence = new FilePersistence(_directory) })));
        services.AddKvHybridCache(Name, _configure);
        _register?.Invoke(services);
        return services.BuildServiceProvider();
    }
}
