using Microsoft.Extensions.Configuration;

namespace KvStore.Hosting;

/// <summary>The sections of a namespace's configuration that packages have added: see <see cref="KvNamespaceBuilder.AddSection"/>.</summary>
/// <remarks>Not thread-safe: filled while the namespace is registered, and read afterwards.</remarks>
internal sealed class AddedSections
{
    private const string PostgreSql = "PostgreSql";

    private readonly List<(string Name, Func<IServiceProvider, IConfigurationSection, KvNamespaceOptions, KvNamespaceOptions> Read)> _sections = [];

    /// <summary>The names of the sections, as they go on in a list of names.</summary>
    public string Names => string.Concat(_sections.Select(static section => $", {section.Name}"));

    /// <summary>Adds a section, in the place of one with the same name.</summary>
    public void Add(string name, Func<IServiceProvider, IConfigurationSection, KvNamespaceOptions, KvNamespaceOptions> read)
    {
        _sections.RemoveAll(section => section.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
        _sections.Add((name, read));
    }

    /// <summary>What reads a section; null when nothing does.</summary>
    public Func<IServiceProvider, IConfigurationSection, KvNamespaceOptions, KvNamespaceOptions>? Find(string name) =>
        _sections.Find(section => section.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Read;

    /// <summary>The exception for a section that nothing reads.</summary>
    public static FormatException Unknown(IConfigurationSection entry, string known) =>
        entry.Key.Equals(PostgreSql, StringComparison.OrdinalIgnoreCase)
            ? new FormatException($"{entry.Path} is read only for a namespace that code puts into PostgreSQL. Call kv.UsePostgreSql() of the package KvStore.PostgreSql where the namespace is registered.")
            : Setting.Unknown(entry, known);
}
