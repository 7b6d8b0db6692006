using System.Collections.Immutable;
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace PublicDocumentation;

/// <summary>Whether users of an assembly can see a member.</summary>
internal enum Visibility
{
    /// <summary>The assembly does not define the member.</summary>
    NotHere,

    /// <summary>Internal or private, or in a type that is.</summary>
    Hidden,

    /// <summary>Public or protected.</summary>
    Public,
}

/// <summary>The members of an assembly by their documentation ids (ECMA-334, annex D), and who can see them.</summary>
internal sealed class MemberVisibility
{
    private readonly Dictionary<string, bool> _isPublic = new(StringComparer.Ordinal);

    public static MemberVisibility Read(string assemblyPath)
    {
        var members = new MemberVisibility();
        using var stream = File.OpenRead(assemblyPath);
        using var file = new PEReader(stream);
        var metadata = file.GetMetadataReader();
        foreach (var handle in metadata.TypeDefinitions)
        {
            members.Add(metadata, handle);
        }

        return members;
    }

    /// <summary>Who can see a member.</summary>
    public Visibility Find(string id)
    {
        if (_isPublic.TryGetValue(id, out var isPublic))
        {
            return isPublic ? Visibility.Public : Visibility.Hidden;
        }

        // Explicit implementations have names that only the compiler spells; no user sees them, and no user sees any member of a
        // hidden type.
        var name = id[2..].Split('(')[0];
        for (var dot = name.LastIndexOf('.'); dot > 0; dot = name.LastIndexOf('.', dot - 1))
        {
            if (_isPublic.TryGetValue($"T:{name[..dot]}", out isPublic))
            {
                return !isPublic || name[dot..].Contains('#') ? Visibility.Hidden : Visibility.NotHere;
            }
        }

        return Visibility.NotHere;
    }

    private static bool IsPublic(MetadataReader metadata, TypeDefinition type)
    {
        while (true)
        {
            switch (type.Attributes & TypeAttributes.VisibilityMask)
            {
                case TypeAttributes.Public:
                    return true;
                case TypeAttributes.NestedPublic or TypeAttributes.NestedFamily or TypeAttributes.NestedFamORAssem:
                    type = metadata.GetTypeDefinition(type.GetDeclaringType());
                    break;
                default:
                    return false;
            }
        }
    }

    private static bool IsPublic(MethodAttributes attributes) => (attributes & MethodAttributes.MemberAccessMask)
        is MethodAttributes.Public or MethodAttributes.Family or MethodAttributes.FamORAssem;

    private static bool IsPublic(FieldAttributes attributes) => (attributes & FieldAttributes.FieldAccessMask)
        is FieldAttributes.Public or FieldAttributes.Family or FieldAttributes.FamORAssem;

    private void Add(MetadataReader metadata, TypeDefinitionHandle handle)
    {
        var type = metadata.GetTypeDefinition(handle);
        var isPublic = IsPublic(metadata, type);
        var name = TypeNames.Of(metadata, handle);
        _isPublic[$"T:{name}"] = isPublic;
        foreach (var method in type.GetMethods().Select(metadata.GetMethodDefinition))
        {
            _isPublic[$"M:{name}.{IdOf(metadata, method)}"] = isPublic && IsPublic(method.Attributes);
        }

        foreach (var field in type.GetFields().Select(metadata.GetFieldDefinition))
        {
            _isPublic[$"F:{name}.{metadata.GetString(field.Name)}"] = isPublic && IsPublic(field.Attributes);
        }

        foreach (var property in type.GetProperties().Select(metadata.GetPropertyDefinition))
        {
            var accessors = property.GetAccessors();
            _isPublic[$"P:{name}.{IdOf(metadata, property)}"] = isPublic
                && (IsPublicAccessor(metadata, accessors.Getter) || IsPublicAccessor(metadata, accessors.Setter));
        }

        foreach (var @event in type.GetEvents().Select(metadata.GetEventDefinition))
        {
            _isPublic[$"E:{name}.{metadata.GetString(@event.Name)}"] = isPublic && IsPublicAccessor(metadata, @event.GetAccessors().Adder);
        }
    }

    private static bool IsPublicAccessor(MetadataReader metadata, MethodDefinitionHandle handle) =>
        !handle.IsNil && IsPublic(metadata.GetMethodDefinition(handle).Attributes);

    private static string IdOf(MetadataReader metadata, MethodDefinition method)
    {
        var name = metadata.GetString(method.Name);
        var arity = method.GetGenericParameters().Count;
        var signature = method.DecodeSignature(new TypeNames(), null);
        var id = name.Replace('.', '#') + (arity > 0 ? $"``{arity}" : "") + Parameters(signature.ParameterTypes);
        return name is "op_Implicit" or "op_Explicit" ? $"{id}~{signature.ReturnType}" : id;
    }

    private static string IdOf(MetadataReader metadata, PropertyDefinition property) =>
        metadata.GetString(property.Name) + Parameters(property.DecodeSignature(new TypeNames(), null).ParameterTypes);

    private static string Parameters(ImmutableArray<string> types) => types.IsEmpty ? "" : $"({string.Join(',', types)})";
}
