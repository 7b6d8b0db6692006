using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace KvStore.Json;

/// <summary>
/// Reads JSON whose property names may be in camel case or as they stand in C#, whatever the options say.
/// </summary>
/// <remarks>
/// The web defaults write <c>userName</c> where generated code without options writes <c>UserName</c>. Read by the other, no name
/// would match, and the result would be an empty object without an error. So names are compared without regard to case; where a
/// type has two names that differ in nothing else, they are compared exactly.
/// </remarks>
internal static class JsonDialect
{
    private static readonly ConditionalWeakTable<JsonSerializerOptions, JsonSerializerOptions> s_tolerant = [];

    // Types with names that differ only in case.
    private static readonly ConditionalWeakTable<JsonTypeInfo, object> s_exact = [];

    /// <summary>Reads by generated code.</summary>
    public static T? Read<T>(ReadOnlySpan<byte> utf8, JsonTypeInfo<T> jsonTypeInfo)
    {
        ArgumentNullException.ThrowIfNull(jsonTypeInfo);
        if (IsExact(jsonTypeInfo))
        {
            try
            {
                return JsonSerializer.Deserialize(utf8, TolerantOf(jsonTypeInfo));
            }
            catch (InvalidOperationException)
            {
                // Two names collide; or the type itself fails, and does so again.
                var exact = JsonSerializer.Deserialize(utf8, jsonTypeInfo);
                s_exact.TryAdd(jsonTypeInfo, jsonTypeInfo);
                return exact;
            }
        }

        return JsonSerializer.Deserialize(utf8, jsonTypeInfo);
    }

    /// <summary>Reads by reflection, with the options that a caller has given.</summary>
    [RequiresUnreferencedCode("Reflects over T.")]
    [RequiresDynamicCode("Reflects over T.")]
    public static T? Read<T>(ReadOnlySpan<byte> utf8, JsonSerializerOptions options)
    {
        options.MakeReadOnly(populateMissingResolver: true);
        return Read(utf8, (JsonTypeInfo<T>)options.GetTypeInfo(typeof(T)));
    }

    // Whether names are compared exactly, and need not be. One that was made by hand is not what its options lead to, and is left as
    // it is.
    private static bool IsExact<T>(JsonTypeInfo<T> jsonTypeInfo) =>
        !jsonTypeInfo.Options.PropertyNameCaseInsensitive
        && !s_exact.TryGetValue(jsonTypeInfo, out _)
        && jsonTypeInfo.Options.TryGetTypeInfo(typeof(T), out var known)
        && ReferenceEquals(known, jsonTypeInfo);

    private static JsonTypeInfo<T> TolerantOf<T>(JsonTypeInfo<T> jsonTypeInfo) => (JsonTypeInfo<T>)s_tolerant
        .GetValue(jsonTypeInfo.Options, static exact => new JsonSerializerOptions(exact) { PropertyNameCaseInsensitive = true })
        .GetTypeInfo(typeof(T));
}
