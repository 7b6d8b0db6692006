using Microsoft.CodeAnalysis;

namespace KvStore.Generators;

/// <summary>Types as generated code writes them.</summary>
internal static class TypeText
{
    private static readonly SymbolDisplayFormat s_short = new(
        genericsOptions: SymbolDisplayGenericsOptions.IncludeTypeParameters,
        miscellaneousOptions: SymbolDisplayMiscellaneousOptions.UseSpecialTypes);

    /// <summary>Fully qualified, so that no using and no type of the same name matters.</summary>
    public static string Of(ITypeSymbol type) => type.ToDisplayString(SymbolDisplayFormat.FullyQualifiedFormat);

    /// <summary>As a person calls it.</summary>
    public static string Short(ITypeSymbol type) => type.ToDisplayString(s_short);
}
