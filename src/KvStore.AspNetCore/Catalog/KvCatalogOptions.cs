using Microsoft.Extensions.Logging;

namespace KvStore;

/// <summary>The options of a catalog. Read once, when it is opened; later changes have no effect.</summary>
public sealed class KvCatalogOptions
{
    /// <summary>
    /// The directory of the catalog file and, below <c>namespaces</c>, of one directory for each namespace. Null keeps everything in
    /// memory, and nothing survives the process.
    /// </summary>
    public string? Directory { get; set; }

    /// <summary>The options of the files of each namespace. Default <see cref="FilePersistenceOptions"/>.</summary>
    public FilePersistenceOptions Persistence { get; set; } = new();

    /// <summary>The limits of each namespace. Default: the documented limits of Workers KV.</summary>
    public KvLimits Limits { get; set; } = new();

    /// <summary>The clock of each namespace and the source of its timers. Default <see cref="TimeProvider.System"/>.</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;

    /// <summary>The log of the catalog and of its namespaces; null for none.</summary>
    public ILoggerFactory? LoggerFactory { get; set; }

    /// <summary>The options as they are now.</summary>
    internal KvCatalogOptions Copy() => (KvCatalogOptions)MemberwiseClone();

    /// <summary>Checks every option.</summary>
    /// <exception cref="ArgumentNullException">An option is null that must not be.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    internal void Validate()
    {
        ArgumentNullException.ThrowIfNull(Limits);
        ArgumentNullException.ThrowIfNull(Persistence);
        ArgumentNullException.ThrowIfNull(TimeProvider);
        Limits.Validate();
        Persistence.Validate();
    }
}
