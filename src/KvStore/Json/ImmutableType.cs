using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace KvStore.Json;

/// <summary>Whether an object of a type can be handed to several callers, because none of them can change it.</summary>
/// <typeparam name="T">The type, exactly: nothing is said about what derives from it.</typeparam>
internal static class ImmutableType<T>
{
    /// <summary>Whether it can.</summary>
    public static bool IsProven { get; } = ImmutableType.IsProven(typeof(T));
}

/// <summary>
/// How it is proven: the type says so by <see cref="ImmutableObjectAttribute"/>, or every field of it, and of what it refers
/// to, can only be set by a constructor. A record of numbers and strings passes; one with a list does not.
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

        // Compiled ahead of time, a field that nobody reflects on cannot be seen, and proves nothing.
        if (!RuntimeFeature.IsDynamicCodeSupported || type.IsInterface || type.IsArray || type.IsPointer || typeof(Delegate).IsAssignableFrom(type))
        {
            return false;
        }

        // A type that refers to itself is as good as the rest of it.
        return !underway.Add(type) || FieldsOf(type).All(field => (field.IsInitOnly || type.IsValueType) && IsProvenBehind(field.FieldType, underway));
    }

    // What a field refers to may be of a derived type, about which nothing is known.
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
