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

    /// <summary>
    /// An engine outside the process that several processes share; null for a namespace of this process alone. One engine belongs to one
    /// namespace, which disposes it. Needs <see cref="KvNamespace.OpenAsync"/>. Not together with <see cref="Persistence"/>,
    /// <see cref="Replication"/> or <see cref="KvMemoryPolicy.Evict"/>.
    /// </summary>
    public IKvEngine? Engine { get; init; }

    /// <summary>How much memory the namespace may take, and what happens when it is full; null for no limit.</summary>
    public KvMemoryOptions? Memory { get; init; }

    /// <summary>Where background work reports; null for nowhere.</summary>
    public ILoggerFactory? LoggerFactory { get; init; }

    /// <summary>The regions of the namespace, and how late each receives the writes of the others; null for no regions.</summary>
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
        Memory?.Validate();
        ValidateEngine();
        if (Memory?.WhenFull == KvMemoryPolicy.Evict && Persistence is FilePersistence { Options.ReadOnly: true })
        {
            throw new ArgumentException(
                $"{nameof(KvMemoryOptions)}.{nameof(KvMemoryOptions.WhenFull)} is {nameof(KvMemoryPolicy.Evict)}, and the directory is opened to be read only, so that nothing can be removed from it. Use {nameof(KvMemoryPolicy.Refuse)}, or open the directory for writing.",
                $"{nameof(KvMemoryOptions)}.{nameof(KvMemoryOptions.WhenFull)}");
        }
    }

    private void ValidateEngine()
    {
        if (Engine is null)
        {
            return;
        }

        if (Persistence is not null)
        {
            throw Excluded(nameof(Persistence), "the engine keeps the entries");
        }

        if (Replication is not null)
        {
            throw Excluded(nameof(Replication), "each process that shares the engine is a region by itself, with the real lag");
        }

        if (Memory?.WhenFull == KvMemoryPolicy.Evict)
        {
            throw Excluded($"{nameof(KvMemoryOptions)}.{nameof(KvMemoryOptions.WhenFull)} = {nameof(KvMemoryPolicy.Evict)}", "an entry that is evicted here would still be in the engine");
        }

        static ArgumentException Excluded(string option, string reason) => new(
            $"{option} and {nameof(KvNamespaceOptions)}.{nameof(Engine)} are both set; a namespace has one of them, because {reason}.", option);
    }
}
