using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;

namespace KvStore.TestKit;

/// <summary>What an assembly shows to its users, as text that can be compared line by line.</summary>
public static class PublicSurface
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly NullabilityInfoContext s_nullability = new();

    /// <summary>The lines by which the surface and the file that records it differ: with + what is new, with - what is gone.</summary>
    /// <remarks>To accept a change, run the tests with KVSTORE_ACCEPT_PUBLIC_API=1 and look at what the file says then.</remarks>
    public static IReadOnlyList<string> DifferencesFrom(string path, Assembly assembly)
    {
        var surface = Render(assembly);
        if (Environment.GetEnvironmentVariable("KVSTORE_ACCEPT_PUBLIC_API") == "1")
        {
            File.WriteAllText(path, surface);
        }

        var isThere = surface.Split('\n');
        var isOnFile = File.ReadAllText(path).ReplaceLineEndings("\n").Split('\n');
        return [.. isThere.Except(isOnFile).Select(line => "+ " + line), .. isOnFile.Except(isThere).Select(line => "- " + line)];
    }

    /// <summary>The surface of an assembly: a line for each type, and an indented one for each member of it.</summary>
    public static string Render(Assembly assembly)
    {
        var text = new StringBuilder();
        // The compiler describes an extension block in types whose names C# cannot write; its members are methods of the outer class.
        foreach (var type in assembly.GetExportedTypes().Where(type => !type.FullName!.Contains('<', StringComparison.Ordinal)).OrderBy(type => type.FullName, StringComparer.Ordinal))
        {
            text.Append(type.IsInterface ? "interface " : type.IsEnum ? "enum " : type.IsValueType ? "struct " : type.IsAbstract && type.IsSealed ? "static class " : "class ");
            text.Append(type.FullName).Append('\n');
            foreach (var line in type.GetMembers(Declared).Where(IsVisible).Select(member => $"  {type.FullName}.{Render(member)}").Order(StringComparer.Ordinal))
            {
                text.Append(line).Append('\n');
            }
        }

        return text.ToString();
    }

    private static bool IsVisible(MemberInfo member) => member switch
    {
        MethodBase method => IsVisible(method) && (!method.IsSpecialName || method is ConstructorInfo || method.Name.StartsWith("op_", StringComparison.Ordinal))
            && member.GetCustomAttribute<CompilerGeneratedAttribute>() is null,
        PropertyInfo property => property.GetAccessors(nonPublic: true).Any(IsVisible),
        FieldInfo field => (field.IsPublic || field.IsFamily) && !field.IsSpecialName,
        EventInfo added => IsVisible(added.AddMethod!),
        _ => false,
    };

    private static bool IsVisible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static string Render(MemberInfo member) => member switch
    {
        ConstructorInfo constructor => $"new({Parameters(constructor)})",
        MethodInfo method => $"{method.Name}{Generics(method)}({Parameters(method)}) : {Name(method.ReturnType)}",
        PropertyInfo property =>
            $"{property.Name} {{ {(property.CanRead ? "get; " : "")}{(IsInit(property) ? "init; " : property.CanWrite && IsVisible(property.SetMethod!) ? "set; " : "")}}} : {Name(property.PropertyType)}{Mark(s_nullability.Create(property).ReadState, property.PropertyType)}",
        FieldInfo field => $"{field.Name} : {Name(field.FieldType)}{(field.IsLiteral ? $" = {field.GetRawConstantValue()}" : "")}",
        _ => member.Name,
    };

    private static bool IsInit(PropertyInfo property) =>
        property.SetMethod?.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) == true;

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(parameter =>
        $"{(parameter.IsOut ? "out " : "")}{Name(parameter.ParameterType)}{Mark(s_nullability.Create(parameter).ReadState, parameter.ParameterType)} {parameter.Name}{(parameter.HasDefaultValue ? " = default" : "")}"));

    private static string Generics(MethodInfo method) =>
        method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(Name))}>" : "";

    private static string Mark(NullabilityState state, Type type) => state == NullabilityState.Nullable && !type.IsValueType ? "?" : "";

    private static string Name(Type type)
    {
        if (type.IsByRef)
        {
            return Name(type.GetElementType()!);
        }

        if (type.IsArray)
        {
            return $"{Name(type.GetElementType()!)}[]";
        }

        if (Nullable.GetUnderlyingType(type) is { } underlying)
        {
            return $"{Name(underlying)}?";
        }

        return type.IsGenericType
            ? $"{type.Name[..type.Name.IndexOf('`')]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>"
            : type.Name;
    }
}
