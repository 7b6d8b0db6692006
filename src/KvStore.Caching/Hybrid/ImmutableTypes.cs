using System.ComponentModel;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace KvStore.Hybrid;

/// <summary>Whether nobody can change a value of a type, so that all callers may get one object. The rule of Microsoft's HybridCache.</summary>
/// <typeparam name="T">The type.</typeparam>
internal static class ImmutableTypes<T>
{
    /// <summary>True for text, for structures without references, and for sealed types that say so by <see cref="ImmutableObjectAttribute"/>.</summary>
    public static readonly bool IsImmutable = !RuntimeHelpers.IsReferenceOrContainsReferences<T>() || IsDeclared(typeof(T));

    private static bool IsDeclared(Type type)
    {
        if (type == typeof(string))
        {
            return true;
        }

        type = Nullable.GetUnderlyingType(type) ?? type;
        return (type.IsValueType || (type.IsClass && type.IsSealed)) && type.GetCustomAttribute<ImmutableObjectAttribute>() is { Immutable: true };
    }
}
