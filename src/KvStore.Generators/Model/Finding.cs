using Microsoft.CodeAnalysis;

namespace KvStore.Generators.Model;

/// <summary>A diagnostic before it is reported.</summary>
internal sealed record Finding(DiagnosticDescriptor Descriptor, FileSpan? Place, EquatableArray<string> Arguments)
{
    public static Finding Of(DiagnosticDescriptor descriptor, FileSpan? place, params string[] arguments) =>
        new(descriptor, place, new EquatableArray<string>(arguments));

    public Diagnostic ToDiagnostic() =>
        Diagnostic.Create(Descriptor, Place?.ToLocation() ?? Location.None, [.. Arguments]);
}
