using Microsoft.CodeAnalysis;

namespace KvStore.Generators;

/// <summary>Types as generated code writes them.</summary>
internal static class TypeText
{
    private static readonly SymbolDisplayFormat s_short = new(
        genericsOptions: SymbolDisplayGenericsOptions.IncludeTypeParameters,
        miscellaneousOptions: SymbolDisplayMiscellaneousOptions.UseSpecialTypes);

    private static readonly SymbolDisplayFormat s_annotated =
        SymbolDisplayFormat.FullyQualifiedFormat.AddMiscellaneousOptions(SymbolDisplayMiscellaneousOptions.IncludeNullableReferenceTypeModifier);

    /// <summary>Fully qualified, so that no using and no type of the same name matters.</summary>
    public static string Of(ITypeSymbol type) => type.ToDisplayString(SymbolDisplayFormat.FullyQualifiedFormat);

    /// <summary>The same with the '?' of reference types, which an implementation must repeat.</summary>
    public static string Annotated(ITypeSymbol type) => type.ToDisplayString(s_annotated);

    /// <summary>As a person calls it.</summary>
    public static string Short(ITypeSymbol type) => type.ToDisplayString(s_short);
}
