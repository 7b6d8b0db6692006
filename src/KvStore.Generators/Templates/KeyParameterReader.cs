using Microsoft.CodeAnalysis;

namespace KvStore.Generators.Templates;

/// <summary>Finds out how a parameter stands in keys.</summary>
internal static class KeyParameterReader
{
    private const string Digits = "-0123456789";

    /// <summary>The parameter, or null when its type cannot stand in a key.</summary>
    public static KeyParameter? Read(IParameterSymbol parameter)
    {
        if (parameter.RefKind != RefKind.None || parameter.IsParams || parameter.HasExplicitDefaultValue)
        {
            return null;
        }

        var type = parameter.Type;
        return type.SpecialType switch
        {
            SpecialType.System_String => Make(KeyParameterKind.Text, null, null),
            SpecialType.System_Boolean => Make(KeyParameterKind.Boolean, 5, "truefalse"),
            SpecialType.System_Byte => Make(KeyParameterKind.Integer, 3, Digits),
            SpecialType.System_SByte => Make(KeyParameterKind.Integer, 4, Digits),
            SpecialType.System_Int16 => Make(KeyParameterKind.Integer, 6, Digits),
            SpecialType.System_UInt16 => Make(KeyParameterKind.Integer, 5, Digits),
            SpecialType.System_Int32 => Make(KeyParameterKind.Integer, 11, Digits),
            SpecialType.System_UInt32 => Make(KeyParameterKind.Integer, 10, Digits),
            SpecialType.System_Int64 or SpecialType.System_UInt64 => Make(KeyParameterKind.Integer, 20, Digits),
            _ when type.TypeKind == TypeKind.Enum => ReadEnum(parameter, (INamedTypeSymbol)type),
            _ when type is { Name: "Guid", ContainingNamespace: { Name: "System", ContainingNamespace.IsGlobalNamespace: true } } =>
                Make(KeyParameterKind.Guid, 36, "-0123456789abcdef"),
            _ when type is { Name: "DateOnly", ContainingNamespace: { Name: "System", ContainingNamespace.IsGlobalNamespace: true } } =>
                Make(KeyParameterKind.Date, 10, Digits),
            _ => null,
        };

        KeyParameter Make(KeyParameterKind kind, int? bytesMax, string? characters) =>
            new(parameter.Name, TypeText.Of(type), kind, bytesMax, characters, default, null);
    }

    // The name of a member, or the number where there is no member of that value. No name is a number.
    private static KeyParameter ReadEnum(IParameterSymbol parameter, INamedTypeSymbol type)
    {
        List<string> members = [];
        HashSet<object?> values = [];
        foreach (var field in type.GetMembers().OfType<IFieldSymbol>().Where(static field => field.HasConstantValue))
        {
            if (values.Add(field.ConstantValue))
            {
                members.Add(field.Name);
            }
        }

        var bytes = Math.Max(20, members.Count == 0 ? 0 : members.Max(static name => System.Text.Encoding.UTF8.GetByteCount(name)));
        var characters = string.Concat(members.SelectMany(static name => name).Concat(Digits).Distinct());
        return new(parameter.Name, TypeText.Of(type), KeyParameterKind.Enum, bytes, characters, new(members), TypeText.Of(type.EnumUnderlyingType!));
    }
}
