using Microsoft.Extensions.Logging;

namespace KvStore;

/// <summary>The options of a catalog. Read once, when it is opened.</summary>
public sealed record KvCatalogOptions
{
    /// <summary>
    /// The directory of the catalog file and, below <c>namespaces</c>, of one directory for each namespace. Null keeps everything in
    /// memory, and nothing survives the process.
    /// </summary>
    public string? Directory { get; init; }

    /// <summary>The options of the files of each namespace. Default <see cref="FilePersistenceOptions"/>.</summary>
    public FilePersistenceOptions Persistence { get; init; } = new();

    /// <summary>The limits of each namespace. Default: the documented limits of Workers KV.</summary>
    public KvLimits Limits { get; init; } = new();

    /// <summary>The clock of each namespace and the source of its timers. Default <see cref="TimeProvider.System"/>.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>The log of the catalog and of its namespaces; null for none.</summary>
    public ILoggerFactory? LoggerFactory { get; init; }
}
