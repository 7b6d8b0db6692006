using KvStore.TestKit.Persistence;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.AspNetCore.Tests.Adapters;

/// <summary>Where a namespace of a test keeps its entries: a directory, a simulated disk that can fail, or nowhere.</summary>
internal sealed class Storage : IDisposable
{
    private readonly string? _directory;
    private readonly SimulatedDisk? _disk;

    private Storage(string? directory, SimulatedDisk? disk)
    {
        _directory = directory;
        _disk = disk;
    }

    public SimulatedDisk Disk => _disk!;

    public bool IsPersisted => _directory is not null || _disk is not null;

    public static Storage InMemory() => new(directory: null, disk: null);

    public static Storage InDirectory() => new(Directory.CreateTempSubdirectory("kvstore-adapter-").FullName, disk: null);

    public static Storage OnDisk() => new(directory: null, new SimulatedDisk());

    public static Storage Of(bool persisted) => persisted ? InDirectory() : InMemory();

    /// <summary>Registers a namespace that lies here.</summary>
    public void AddTo(IServiceCollection services, string name, FilePersistenceOptions? options = null, Func<KvNamespaceOptions, KvNamespaceOptions>? change = null) =>
        services.AddKvNamespace(name, kv => kv.Configure(present =>
        {
            var persistence = _directory is not null ? new FilePersistence(Path.Combine(_directory, name), options ?? new())
                : _disk is not null ? new FilePersistence(name, options ?? new(), _ => _disk)
                : null;
            present = present with { Persistence = persistence };
            return change?.Invoke(present) ?? present;
        }));

    public void Dispose()
    {
        if (_directory is not null)
        {
            Directory.Delete(_directory, recursive: true);
        }
    }
}
