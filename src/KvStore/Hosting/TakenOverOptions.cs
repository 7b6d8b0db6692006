using KvStore.Rules;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KvStore.Hosting;

/// <summary>
/// Checks that a namespace which the configuration has opened is what the container's registration asks for. An option that has no effect
/// would be a surprise.
/// </summary>
internal static class TakenOverOptions
{
    /// <summary>Checks the options of the registration that are not the defaults.</summary>
    /// <param name="name">The name of the namespace.</param>
    /// <param name="opened">The options that the namespace was opened with.</param>
    /// <param name="asked">The options of the registration.</param>
    /// <param name="defaults">The options of a registration that sets none.</param>
    /// <param name="logger">Is warned when the clock differs and nobody has asked for it.</param>
    /// <exception cref="OptionsValidationException">One differs; the message names it.</exception>
    public static void Check(string name, KvNamespaceOptions opened, KvNamespaceOptions asked, KvNamespaceOptions defaults, ILogger logger)
    {
        var different =
            asked.Persistence is not null && !IsSame(asked.Persistence, opened.Persistence) ? nameof(KvNamespaceOptions.Persistence)
            : asked.Limits != defaults.Limits && asked.Limits != opened.Limits ? nameof(KvNamespaceOptions.Limits)
            : asked.Memory is not null && asked.Memory != opened.Memory ? nameof(KvNamespaceOptions.Memory)
            : asked.Replication is not null && !IsSame(asked.Replication, opened.Replication) ? nameof(KvNamespaceOptions.Replication)
            : asked.EnforceWriteRate && !opened.EnforceWriteRate ? nameof(KvNamespaceOptions.EnforceWriteRate)
            : asked.TimeProvider != defaults.TimeProvider && asked.TimeProvider != opened.TimeProvider ? nameof(KvNamespaceOptions.TimeProvider)
            : null;
        if (different is not null)
        {
            throw new OptionsValidationException(
                name,
                typeof(KvNamespaceOptions),
                [$"KV namespace {VisibleKey.Quote(name)}: the configuration opened it before there was a container, and {nameof(KvNamespaceOptions)}.{different} is another in its registration. Set the options where the configuration adds the namespace (Configuration.AddKvNamespace), and none in services.AddKvNamespace."]);
        }

        if (asked.TimeProvider != opened.TimeProvider)
        {
            logger.ClockNotTaken(name);
        }
    }

    private static bool IsSame(IKvPersistence asked, IKvPersistence? opened) =>
        asked is FilePersistence files && opened is FilePersistence openedFiles
            ? Path.GetFullPath(files.Directory) == Path.GetFullPath(openedFiles.Directory)
                && (files.Options == openedFiles.Options || files.Options == new FilePersistenceOptions())
            : asked.Equals(opened);

    // Lags are objects that cannot be compared. The regions are what a registration is about.
    private static bool IsSame(KvReplicationOptions asked, KvReplicationOptions? opened) =>
        opened is not null && asked.Regions.SequenceEqual(opened.Regions, StringComparer.Ordinal) && asked.HomeRegion == opened.HomeRegion;
}
