using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace KvStore.Hosting;

/// <summary>Reads the persistence of a namespace from configuration.</summary>
internal static class PersistenceConfiguration
{
    private const string Enabled = "Enabled";

    /// <summary>
    /// Returns the persistence with the settings of a section. Nothing is opened. Options without a setting stay as they are.
    /// </summary>
    /// <returns>The persistence; null for memory only.</returns>
    /// <exception cref="FormatException">A setting is unknown, cannot be read, or needs another setting that is missing.</exception>
    /// <exception cref="ArgumentException">An option is out of its range; the message names it.</exception>
    public static IKvPersistence? Apply(IServiceProvider services, IConfigurationSection section, IKvPersistence? persistence)
    {
        var files = persistence as FilePersistence;
        var (isEnabled, first, directory, options) = Read(services, section, files?.Directory, files?.Options ?? new FilePersistenceOptions());
        return !isEnabled ? null
            : first is null ? persistence
            : directory is not null ? new FilePersistence(directory, options)
            : persistence is null
            ? throw new FormatException(
                $"{first.Path} is set, but no directory is. Set {section.Path}:{nameof(FilePersistence.Directory)}, or call {nameof(KvNamespaceBuilder.PersistTo)}.")
            : throw new FormatException(
                $"{first.Path} is an option of files, and code gives the namespace another persistence ({persistence.GetType().Name}). Remove it, or set {section.Path}:{nameof(FilePersistence.Directory)} to use files instead.");
    }

    /// <summary>Returns the directory and the options with the settings of a section.</summary>
    /// <returns>
    /// Whether the namespace is persisted; the first setting that belongs to files, null when there is none; the directory; the options.
    /// </returns>
    /// <exception cref="FormatException">A setting is unknown or cannot be read.</exception>
    public static (bool IsEnabled, IConfigurationSection? First, string? Directory, FilePersistenceOptions Options) Read(
        IServiceProvider services, IConfigurationSection section, string? directory, FilePersistenceOptions options)
    {
        Setting.CheckHasEntries(section);
        var isEnabled = true;
        IConfigurationSection? first = null;
        foreach (var entry in section.GetChildren())
        {
            switch (entry.Key.ToUpperInvariant())
            {
                case "ENABLED":
                    isEnabled = Setting.Boolean(entry);
                    continue;
                case "DIRECTORY":
                    directory = Setting.Text(entry, "the path of a directory") is var path && !path.Contains('\0', StringComparison.Ordinal)
                        ? KvConfiguration.PathOf(services, path)
                        : throw Setting.Unreadable(entry, "the path of a directory");
                    break;
                case "DURABILITY":
                    options = options with { Durability = Setting.Named<Durability>(entry) };
                    break;
                case "INTERVAL":
                    options = options with { Interval = Setting.Span(entry) };
                    break;
                case "LOGFILEBYTES":
                    options = options with { LogFileBytes = Setting.Int32(entry) };
                    break;
                case "COMPACTIONDEADRATIO":
                    options = options with { CompactionDeadRatio = Setting.Double(entry) };
                    break;
                case "COMPACTIONBYTESMIN":
                    options = options with { CompactionBytesMin = Setting.Int64(entry) };
                    break;
                case "LARGEVALUEBYTES":
                    options = options with { LargeValueBytes = Setting.Int32(entry) };
                    break;
                case "READONLY":
                    options = options with { ReadOnly = Setting.Boolean(entry) };
                    break;
                case "UNIXFILEMODE":
                    options = options with { UnixFileMode = UnixFileModeOf(entry) };
                    break;
                default:
                    throw Setting.Unknown(
                        entry,
                        $"{Enabled}, {nameof(FilePersistence.Directory)}, {nameof(FilePersistenceOptions.Durability)}, {nameof(FilePersistenceOptions.Interval)}, {nameof(FilePersistenceOptions.LogFileBytes)}, {nameof(FilePersistenceOptions.CompactionDeadRatio)}, {nameof(FilePersistenceOptions.CompactionBytesMin)}, {nameof(FilePersistenceOptions.LargeValueBytes)}, {nameof(FilePersistenceOptions.ReadOnly)} and {nameof(FilePersistenceOptions.UnixFileMode)}");
            }

            first ??= entry;
        }

        return (isEnabled, first, directory, options);
    }

    private static UnixFileMode UnixFileModeOf(IConfigurationSection entry) =>
        Enum.TryParse<UnixFileMode>(entry.Value, ignoreCase: true, out var value) && !int.TryParse(entry.Value, CultureInfo.InvariantCulture, out _)
            ? value
            : throw Setting.Unreadable(entry, $"names of {nameof(UnixFileMode)} with commas between them, as in \"{UnixFileMode.UserRead}, {UnixFileMode.UserWrite}, {UnixFileMode.GroupRead}\"");
}
