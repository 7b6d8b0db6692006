using KvStore.Hosting;
using Microsoft.Extensions.Configuration;

namespace KvStore;

/// <summary>
/// Reads options from sections of a configuration in the way that <c>AddKvNamespace</c> does. For packages that keep namespaces of
/// their own. Safe to call from any thread.
/// </summary>
/// <remarks>
/// What a section does not say stays as it is. No exception quotes a setting, because a setting in the wrong place may be a secret.
/// Code that is trimmed or compiled ahead of time can use it.
/// </remarks>
public static class KvConfigurationReader
{
    /// <summary>Reads limits from a section with entries such as <c>KeyBytesMax</c>.</summary>
    /// <param name="section">The section.</param>
    /// <param name="limits">The limits that the section changes.</param>
    /// <returns>The changed limits. Their ranges are not checked: <see cref="KvLimits.Validate"/> does that.</returns>
    /// <exception cref="FormatException">A setting is not known or cannot be read; the message names it.</exception>
    public static KvLimits ReadLimits(IConfigurationSection section, KvLimits limits)
    {
        ArgumentNullException.ThrowIfNull(section);
        ArgumentNullException.ThrowIfNull(limits);
        return KvConfiguration.ApplyLimits(section, limits);
    }

    /// <summary>Reads from a section with entries such as <c>Directory</c> and <c>Durability</c> how a namespace is kept in files.</summary>
    /// <param name="services">The services, for the content root of the host.</param>
    /// <param name="section">The section.</param>
    /// <param name="directory">The directory, when the section does not name one; null for memory alone.</param>
    /// <param name="options">The options that the section changes.</param>
    /// <param name="inCode">How code gives a directory; it ends the message of the exception, for example <c>call PersistTo</c>.</param>
    /// <returns>
    /// The directory, null for memory alone; and the changed options. Their ranges are not checked:
    /// <see cref="FilePersistenceOptions.Validate"/> does that.
    /// </returns>
    /// <exception cref="FormatException">
    /// A setting is not known or cannot be read, or an option of files is set and there is no directory; the message names it.
    /// </exception>
    public static (string? Directory, FilePersistenceOptions Options) ReadFilePersistence(
        IServiceProvider services, IConfigurationSection section, string? directory, FilePersistenceOptions options, string inCode)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(section);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(inCode);
        var (isEnabled, first, path, files) = PersistenceConfiguration.Read(services, section, directory, options);
        return isEnabled && first is not null && path is null
            ? throw new FormatException(
                $"{first.Path} is set, but no directory is. Set {section.Path}:{nameof(FilePersistence.Directory)}, or {inCode}.")
            : (isEnabled ? path : null, files);
    }

    /// <summary>Reads a setting that is true or false.</summary>
    /// <param name="setting">The setting.</param>
    /// <returns>Its value.</returns>
    /// <exception cref="FormatException">It cannot be read; the message names it and says what is allowed.</exception>
    public static bool ReadBoolean(IConfigurationSection setting) => Setting.Boolean(Checked(setting));

    /// <summary>Reads a setting that is a whole number, for example of bytes.</summary>
    /// <param name="setting">The setting.</param>
    /// <returns>Its value.</returns>
    /// <exception cref="FormatException">It cannot be read; the message names it and says what is allowed.</exception>
    public static int ReadInt32(IConfigurationSection setting) => Setting.Int32(Checked(setting));

    /// <summary>Reads a setting that is a span of time such as <c>00:01:00</c>. A bare number is refused, because it would mean days.</summary>
    /// <param name="setting">The setting.</param>
    /// <returns>Its value.</returns>
    /// <exception cref="FormatException">It cannot be read; the message names it and says what is allowed.</exception>
    public static TimeSpan ReadTimeSpan(IConfigurationSection setting) => Setting.Span(Checked(setting));

    /// <summary>Reads a setting that is a text.</summary>
    /// <param name="setting">The setting.</param>
    /// <param name="expected">What the message of the exception says that it must be, for example <c>a connection string</c>.</param>
    /// <returns>The text, which is not empty.</returns>
    /// <exception cref="FormatException">It is empty; the message names it and says what is allowed.</exception>
    public static string ReadText(IConfigurationSection setting, string expected) => Setting.Text(Checked(setting), expected);

    /// <summary>Reads a setting that is the name of a value.</summary>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="setting">The setting, in any case.</param>
    /// <returns>The value.</returns>
    /// <exception cref="FormatException">It is no name of a value; the message lists them.</exception>
    public static T ReadEnum<T>(IConfigurationSection setting)
        where T : struct, Enum => Setting.Named<T>(Checked(setting));

    /// <summary>The exception for a setting that is not known.</summary>
    /// <param name="setting">The setting.</param>
    /// <param name="known">The settings that are known, as a list with "and".</param>
    /// <returns>The exception, to be thrown.</returns>
    public static FormatException UnknownSetting(IConfigurationSection setting, string known) => Setting.Unknown(Checked(setting), known);

    /// <summary>Refuses a plain value in the place of a section.</summary>
    /// <param name="section">The section.</param>
    /// <exception cref="FormatException">The section is a plain value; the message names it.</exception>
    public static void CheckIsSection(IConfigurationSection section) => Setting.CheckHasEntries(Checked(section));

    /// <summary>Resolves a path against the content root of the host, or against the current directory when there is no host.</summary>
    /// <param name="services">The services.</param>
    /// <param name="path">The path.</param>
    /// <returns>The path.</returns>
    public static string ResolvePath(IServiceProvider services, string path)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        return KvConfiguration.PathOf(services, path);
    }

    /// <summary>
    /// Describes an exception that was thrown while options were read and checked: its message, and the setting that the wrong
    /// option came from.
    /// </summary>
    /// <param name="exception">The exception.</param>
    /// <param name="section">The section that was read; null when none was.</param>
    /// <returns>The message.</returns>
    public static string Describe(Exception exception, IConfigurationSection? section)
    {
        ArgumentNullException.ThrowIfNull(exception);
        return ConfigurationSections.MessageOf(exception, section);
    }

    private static IConfigurationSection Checked(IConfigurationSection section)
    {
        ArgumentNullException.ThrowIfNull(section);
        return section;
    }
}
