using Microsoft.Extensions.Logging;

namespace KvStore;

/// <summary>How a namespace behaves. Read once, when the namespace is created.</summary>
public sealed record KvNamespaceOptions
{
    /// <summary>Every clock and every timer of the namespace. Default <see cref="TimeProvider.System"/>.</summary>
    /// <remarks>
    /// With the system's clock, expirations are compared with a coarse clock that a timer moves; with any other, the time is read
    /// whenever an entry that can expire is read, so that a test's clock is obeyed exactly.
    /// </remarks>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>What the namespace accepts. The defaults are the documented limits of Workers KV.</summary>
    public KvLimits Limits { get; init; } = new();

    /// <summary>
    /// Makes the namespace outlive the process, as <c>new FilePersistence("data/cache")</c> does; null for memory alone. One
    /// provider belongs to one namespace, which disposes it. Needs <see cref="KvNamespace.OpenAsync"/>.
    /// </summary>
    public IKvPersistence? Persistence { get; init; }

    /// <summary>Where background work reports; null for nowhere.</summary>
    public ILoggerFactory? LoggerFactory { get; init; }

    /// <summary>Which regions the namespace has, and how late each sees what was written in another; null for one place only.</summary>
    public KvReplicationOptions? Replication { get; init; }

    /// <summary>
    /// Whether a write that comes sooner after another than <see cref="KvLimits.KeyWriteInterval"/> and
    /// <see cref="KvLimits.NamespaceWriteInterval"/> say is refused (429), as the service does. Default false.
    /// </summary>
    public bool EnforceWriteRate { get; init; }

    /// <summary>Checks every option against its range.</summary>
    /// <exception cref="ArgumentException">An option is out of its range; the message names it, its value and the range.</exception>
    internal void Validate()
    {
        ArgumentNullException.ThrowIfNull(TimeProvider);
        ArgumentNullException.ThrowIfNull(Limits);
        Limits.Validate();
        Replication?.Validate(Limits);
    }
}
