using KvStore.Generators.Model;
using Microsoft.CodeAnalysis;

namespace KvStore.Generators;

/// <summary>Finds out how the types of values and metadata are stored.</summary>
/// <param name="context">The JSON context that the interface names, or null.</param>
/// <param name="findings">Where to report.</param>
internal sealed class StoredTypes(INamedTypeSymbol? context, List<Finding> findings)
{
    private const string Format = "global::KvStore.KvTypedFormat";

    /// <summary>The type of a value, or null when it cannot be stored.</summary>
    public StoredType? Value(ITypeSymbol type, Location? place)
    {
        if (type.SpecialType == SpecialType.System_String)
        {
            return new("string", Format + ".Text");
        }

        if (IsBytes(type))
        {
            return new(TypeText.Of(type), Format + ".Bytes");
        }

        if (IsMetadata(type))
        {
            return Refuse(type, "a value", "it is the metadata beside one", place);
        }

        return Json(type, "a value", place);
    }

    /// <summary>The type of metadata, or null when it cannot be stored.</summary>
    public StoredType? Metadata(ITypeSymbol type, Location? place)
    {
        if (type.SpecialType == SpecialType.System_String)
        {
            return new("string", Format + ".Text");
        }

        if (IsMetadata(type))
        {
            return new(TypeText.Of(type), Format + ".Metadata");
        }

        return IsBytes(type) ? Refuse(type, "metadata", "metadata is JSON", place) : Json(type, "metadata", place);
    }

    private StoredType? Json(ITypeSymbol type, string what, Location? place)
    {
        if (type is IErrorTypeSymbol or ITypeParameterSymbol)
        {
            return Refuse(type, what, "there is no such type", place);
        }

        if (context is null)
        {
            return Refuse(type, what, "[KvNamespace] names no JsonContext; add JsonContext = typeof(…) with a JsonSerializerContext that lists it", place);
        }

        if (!Lists(type))
        {
            findings.Add(Finding.Of(KvRules.NotInContext, FileSpan.Of(place), TypeText.Short(context), TypeText.Short(type)));
        }

        var text = TypeText.Of(type);
        return new(text, $"{Format}.Json<{text}>({TypeText.Of(context)}.Default)");
    }

    // A type that another listed type holds is known to the context as well, but not by its attributes.
    private bool Lists(ITypeSymbol type) => context!.GetAttributes().Any(attribute =>
        attribute.AttributeClass?.ToDisplayString() == "System.Text.Json.Serialization.JsonSerializableAttribute"
        && attribute.ConstructorArguments.Length > 0
        && attribute.ConstructorArguments[0].Value is ITypeSymbol listed
        && SymbolEqualityComparer.Default.Equals(listed, type));

    private StoredType? Refuse(ITypeSymbol type, string what, string why, Location? place)
    {
        findings.Add(Finding.Of(KvRules.NoJson, FileSpan.Of(place), TypeText.Short(type), what, why));
        return null;
    }

    private static bool IsBytes(ITypeSymbol type) =>
        type is INamedTypeSymbol { Name: "ReadOnlyMemory", Arity: 1, ContainingNamespace: { Name: "System", ContainingNamespace.IsGlobalNamespace: true } } memory
        && memory.TypeArguments[0].SpecialType == SpecialType.System_Byte;

    private static bool IsMetadata(ITypeSymbol type) =>
        type is { Name: "KvMetadata", ContainingType: null, ContainingNamespace: { Name: "KvStore", ContainingNamespace.IsGlobalNamespace: true } };
}
