using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace KvStore;

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
        if (TolerantOf(jsonTypeInfo) is { } tolerant)
        {
            try
            {
                return JsonSerializer.Deserialize(utf8, tolerant);
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

    private static JsonTypeInfo<T>? TolerantOf<T>(JsonTypeInfo<T> jsonTypeInfo)
    {
        var options = jsonTypeInfo.Options;
        if (options.PropertyNameCaseInsensitive || s_exact.TryGetValue(jsonTypeInfo, out _))
        {
            return null;
        }

        // One that was made by hand is not what its options lead to, and is left as it is.
        return options.TryGetTypeInfo(typeof(T), out var known) && ReferenceEquals(known, jsonTypeInfo)
            ? s_tolerant.GetValue(options, static exact => new JsonSerializerOptions(exact) { PropertyNameCaseInsensitive = true })
                .GetTypeInfo(typeof(T)) as JsonTypeInfo<T>
            : null;
    }
}
