using Microsoft.Extensions.Logging;

namespace KvStore;

/// <summary>How a catalog keeps its namespaces. Read once, when it is opened.</summary>
public sealed record KvCatalogOptions
{
    /// <summary>
    /// The directory that holds the catalogue file and, below <c>namespaces</c>, one directory for each namespace; null keeps
    /// everything in memory, where nothing survives the process.
    /// </summary>
    public string? Directory { get; init; }

    /// <summary>How each namespace of the catalog is kept in its directory. Default <see cref="FilePersistenceOptions"/>.</summary>
    public FilePersistenceOptions Persistence { get; init; } = new();

    /// <summary>What each namespace of the catalog accepts. Default: the documented limits of Workers KV.</summary>
    public KvLimits Limits { get; init; } = new();

    /// <summary>Every clock and every timer. Default <see cref="TimeProvider.System"/>.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>Where background work reports; null for nowhere.</summary>
    public ILoggerFactory? LoggerFactory { get; init; }
}
