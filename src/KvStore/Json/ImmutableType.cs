using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace KvStore.Json;

/// <summary>Whether several callers can share an object of a type, because none of them can change it.</summary>
/// <typeparam name="T">The exact type, not the types that derive from it.</typeparam>
internal static class ImmutableType<T>
{
    /// <summary>Whether it can.</summary>
    public static bool IsProven { get; } = ImmutableType.IsProven(typeof(T));
}

/// <summary>
/// A type is immutable when it has the <see cref="ImmutableObjectAttribute"/>, or when all its fields, and those of the types that it
/// refers to, can only be set by a constructor. A class of numbers and strings passes; a class with a list does not.
/// </summary>
internal static class ImmutableType
{
    private const string Seen = "A field that was trimmed is not there to be changed; ahead of time this is not reached.";

    private static readonly ConcurrentDictionary<Type, bool> s_known = new(
        new[]
        {
            typeof(string), typeof(decimal), typeof(DateTime), typeof(DateTimeOffset), typeof(TimeSpan), typeof(DateOnly), typeof(TimeOnly),
            typeof(Guid), typeof(Uri), typeof(Version),
        }.Select(type => KeyValuePair.Create(type, true)));

    public static bool IsProven(Type type) => s_known.TryGetValue(type, out var isProven) ? isProven : s_known.GetOrAdd(type, Prove(type, []));

    private static bool Prove(Type type, HashSet<Type> underway)
    {
        if (type.IsPrimitive || type.IsEnum || (s_known.TryGetValue(type, out var isKnown) && isKnown))
        {
            return true;
        }

        if (type.GetCustomAttribute<ImmutableObjectAttribute>(inherit: false) is { } says)
        {
            return says.Immutable;
        }

        // In a program that is compiled ahead of time, reflection does not see all fields, so fields prove nothing.
        if (!RuntimeFeature.IsDynamicCodeSupported || type.IsInterface || type.IsArray || type.IsPointer || typeof(Delegate).IsAssignableFrom(type))
        {
            return false;
        }

        // A type that refers to itself is immutable when the rest of it is.
        return !underway.Add(type) || FieldsOf(type).All(field => (field.IsInitOnly || type.IsValueType) && IsProvenBehind(field.FieldType, underway));
    }

    // The object in a field may be of a derived type, which is not checked.
    private static bool IsProvenBehind(Type type, HashSet<Type> underway) =>
        (type.IsValueType || type.IsSealed) && Prove(type, underway);

    [UnconditionalSuppressMessage("Trimming", "IL2070", Justification = Seen)]
    [UnconditionalSuppressMessage("Trimming", "IL2075", Justification = Seen)]
    private static IEnumerable<FieldInfo> FieldsOf(Type type)
    {
        for (var declaring = type; declaring is not null && declaring != typeof(object); declaring = declaring.BaseType)
        {
            foreach (var field in declaring.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            {
                yield return field;
            }
        }
    }
}
