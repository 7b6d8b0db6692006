using Microsoft.CodeAnalysis.Diagnostics;

namespace KvStore.Generators.Sources;

/// <summary>What the project sets.</summary>
/// <param name="Namespace">Where <c>KvBindings</c> is; empty for the global namespace.</param>
/// <param name="Name">What it is called.</param>
/// <param name="Accessibility"><c>public</c> or <c>internal</c>.</param>
internal sealed record BindingsOptions(string Namespace, string Name, string Accessibility)
{
    public static BindingsOptions Read(AnalyzerConfigOptions options) => new(
        Identifiers.Namespace(Property(options, "KvBindingsNamespace") ?? Property(options, "RootNamespace") ?? ""),
        Identifiers.Of(Property(options, "KvBindingsName") ?? "KvBindings"),
        string.Equals(Property(options, "KvBindingsAccessibility"), "internal", StringComparison.OrdinalIgnoreCase) ? "internal" : "public");

    /// <summary>The class as generated code names it elsewhere.</summary>
    public string FullName => "global::" + (Namespace.Length > 0 ? Namespace + "." : "") + Identifiers.Escape(Name);

    private static string? Property(AnalyzerConfigOptions options, string name) =>
        options.TryGetValue("build_property." + name, out var value) && value.Trim() is { Length: > 0 } set ? set : null;
}
