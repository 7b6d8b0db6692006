using Microsoft.CodeAnalysis;

namespace KvStore.Generators;

/// <summary>Reads attributes.</summary>
internal static class AttributeDataExtensions
{
    /// <summary>The text of the first argument, or null when it is not text.</summary>
    public static string? First(this AttributeData attribute) =>
        attribute.ConstructorArguments.Length > 0 ? attribute.ConstructorArguments[0].Value as string : null;

    /// <summary>The value of a named argument, or null when it is not given.</summary>
    public static object? Named(this AttributeData attribute, string name)
    {
        foreach (var argument in attribute.NamedArguments)
        {
            if (argument.Key == name)
            {
                return argument.Value.Value;
            }
        }

        return null;
    }
}
