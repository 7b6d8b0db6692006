using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KvStore.Caching.Tests.Hybrid;

public sealed class InMemoryContractTests : HybridCacheContract
{
    private readonly HybridHost _host = new();

    protected override HybridCache Cache => _host.Cache;

    protected override LogLines Log => _host.Log;

    public override async Task DisposeAsync() => await _host.DisposeAsync();
}

public sealed class PersistedContractTests : HybridCacheContract
{
    private readonly HybridHost _host = new(isPersisted: true);

    protected override HybridCache Cache => _host.Cache;

    protected override LogLines Log => _host.Log;

    public override async Task DisposeAsync() => await _host.DisposeAsync();
}

/// <summary>Microsoft's HybridCache with a second level, so that the contract is theirs.</summary>
public sealed class MicrosoftContractTests : HybridCacheContract
{
    private readonly ServiceProvider _services;

    public MicrosoftContractTests()
    {
        var services = new ServiceCollection();
        services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Debug).AddProvider(Log));

        // Not a MemoryDistributedCache, which their cache does not use as second level.
        services.AddSingleton<IDistributedCache, SecondLevel>();
        services.AddHybridCache();
        _services = services.BuildServiceProvider();
    }

    protected override HybridCache Cache => _services.GetRequiredService<HybridCache>();

    protected override LogLines Log { get; } = new();

    public override async Task DisposeAsync() => await _services.DisposeAsync();

    private sealed class SecondLevel() : MemoryDistributedCache(Options.Create(new MemoryDistributedCacheOptions()));
}
