namespace KvStore.Generators.Model;

/// <summary>What is generated from the Wrangler file of a project.</summary>
/// <param name="FileName">The name of the file, without its folder, so that builds elsewhere make the same code.</param>
/// <param name="Sections">The top level, then the environments.</param>
/// <param name="HasEnvironments">Whether the file has a property <c>env</c>.</param>
/// <param name="IsPages">Whether it is a file of Pages.</param>
internal sealed record WranglerModel(string FileName, EquatableArray<SectionModel> Sections, bool HasEnvironments, bool IsPages)
{
    /// <summary>The names that any section binds, each once, in the order of the file.</summary>
    public IEnumerable<string> Names => Sections.SelectMany(static section => section.Bindings).Select(static binding => binding.Name).Distinct(StringComparer.Ordinal);
}

/// <summary>A section of the file.</summary>
/// <param name="Environment">The name of the environment; null for the top level.</param>
/// <param name="DeclaresNamespaces">Whether it has a property <c>kv_namespaces</c>.</param>
/// <param name="Bindings">What it binds.</param>
internal sealed record SectionModel(string? Environment, bool DeclaresNamespaces, EquatableArray<BindingModel> Bindings);

/// <summary>A binding.</summary>
internal sealed record BindingModel(string Name, string? Id, int Line, int Column);
