using KvStore.Rules;
using Microsoft.Extensions.Configuration;

namespace KvStore.Hosting;

/// <summary>Finds the section of the configuration that belongs to a namespace.</summary>
internal static class ConfigurationSections
{
    private const string Root = "KvStore";

    /// <summary>
    /// The path of a namespace's section: <c>KvStore:</c> and the name. A colon in a name is written <c>%3A</c>, and a percent
    /// sign <c>%25</c>, because a colon would lead into the section of another namespace.
    /// </summary>
    public static string PathOf(string name) => ConfigurationPath.Combine(Root, KeyOf(name));

    /// <summary>The section of a namespace, which may be empty.</summary>
    /// <exception cref="FormatException">
    /// Another namespace has the same section, because configuration is not case-sensitive; or <c>KvStore</c> is a value instead of a
    /// section.
    /// </exception>
    public static IConfigurationSection Of(IConfiguration configuration, string name, IEnumerable<string> names)
    {
        var root = configuration.GetSection(Root);
        Setting.CheckHasEntries(root);
        var key = KeyOf(name);
        var section = root.GetSection(key);
        var other = names.FirstOrDefault(other => other != name && KeyOf(other).Equals(key, StringComparison.OrdinalIgnoreCase));
        return other is null || !section.Exists()
            ? section
            : throw new FormatException(
                $"{section.Path} would configure the namespace {VisibleKey.Quote(other)} too, because configuration keys are not case-sensitive. Rename one of them, or remove the section and configure both in code.");
    }

    /// <summary>
    /// Namespaces whose name was written with its colons, so that the section is a part of another one: the name, and the path of the
    /// section that is there.
    /// </summary>
    /// <param name="configuration">The configuration.</param>
    /// <param name="names">The names of the namespaces.</param>
    /// <param name="owner">The namespace whose section is looked at; null for all.</param>
    public static IEnumerable<(string Name, string Path)> Misplaced(IConfiguration configuration, IReadOnlyCollection<string> names, string? owner = null)
    {
        foreach (var name in names.Where(static name => name.Contains(ConfigurationPath.KeyDelimiter, StringComparison.Ordinal)))
        {
            var isPart = names.Any(other => (owner is null || other == owner) && name.StartsWith(other + ConfigurationPath.KeyDelimiter, StringComparison.OrdinalIgnoreCase));
            var path = ConfigurationPath.Combine(Root, name);
            if (isPart && configuration.GetSection(path).GetChildren().Any() && !configuration.GetSection(PathOf(name)).Exists())
            {
                yield return (name, path);
            }
        }
    }

    /// <summary>The paths of sections that belong to no namespace. A value is not a section: the application may read it itself.</summary>
    public static IEnumerable<string> Unused(IConfiguration configuration, IEnumerable<string> names)
    {
        var keys = names.Select(KeyOf).ToHashSet(StringComparer.OrdinalIgnoreCase);
        return configuration.GetSection(Root).GetChildren()
            .Where(section => !keys.Contains(section.Key) && section.GetChildren().Any())
            .Select(section => section.Path);
    }

    /// <summary>The path of the setting that an option has its value from; null when there is none.</summary>
    /// <param name="section">The section of the namespace.</param>
    /// <param name="option">The name of the option in an exception, for example <c>KvLimits.ExpirationTtlMin (seconds)</c>.</param>
    public static string? PathOf(IConfigurationSection section, string option)
    {
        var name = option.Split(' ')[0];
        name = name[(name.LastIndexOf('.') + 1)..];
        return Find(section, name);
    }

    /// <summary>
    /// The message of an exception from creating options. Ranges are checked after all settings are read, so the exception names the
    /// option; this method adds the setting.
    /// </summary>
    /// <param name="exception">The exception.</param>
    /// <param name="section">The section that was read; null when none was.</param>
    public static string MessageOf(Exception exception, IConfigurationSection? section)
    {
        if (exception is not ArgumentException { ParamName: { } parameter })
        {
            return exception.Message;
        }

        var suffix = exception.Message.LastIndexOf(" (Parameter '", StringComparison.Ordinal);
        var message = suffix < 0 ? exception.Message : exception.Message[..suffix];
        return section is not null && PathOf(section, parameter) is { } path
            ? $"{message} The configuration sets it in {path}."
            : message;
    }

    private static string KeyOf(string name) =>
        name.Replace("%", "%25", StringComparison.Ordinal).Replace(ConfigurationPath.KeyDelimiter, "%3A", StringComparison.Ordinal);

    private static string? Find(IConfigurationSection section, string name)
    {
        foreach (var entry in section.GetChildren())
        {
            if (entry.Key.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return entry.Path;
            }

            if (Find(entry, name) is { } path)
            {
                return path;
            }
        }

        return null;
    }
}
