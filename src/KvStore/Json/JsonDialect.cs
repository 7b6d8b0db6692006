using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace KvStore.Json;

/// <summary>
/// Reads JSON whose property names were written with another naming policy: <c>firstName</c>, <c>FirstName</c>, <c>first_name</c> and
/// <c>first-name</c> are one name, with any options.
/// </summary>
/// <remarks>
/// <para>The web defaults write <c>firstName</c>, generated code without options writes <c>FirstName</c>, and a policy may write
/// <c>first_name</c>. System.Text.Json ignores a name that it does not know, so the result would be an empty object without an
/// error. Therefore names are compared without regard to case, underscores and hyphens. An equal name wins over a name that is only
/// alike. A name that is like two properties is ignored.</para>
/// <para>System.Text.Json compares without regard to case by itself. For the rest, <see cref="JsonNameRewriter"/> replaces names in
/// the text before it is read; it runs only where a name with a separator may be met.</para>
/// </remarks>
internal static class JsonDialect
{
    private static readonly ConditionalWeakTable<JsonSerializerOptions, JsonSerializerOptions> s_caseTolerant = [];

    private static readonly ConditionalWeakTable<JsonTypeInfo, Reading> s_readings = [];

    /// <summary>Reads by generated code.</summary>
    /// <exception cref="JsonException">It is not JSON, or does not fit <typeparamref name="T"/>.</exception>
    public static T? Read<T>(ReadOnlySpan<byte> utf8, JsonTypeInfo<T> jsonTypeInfo)
    {
        ArgumentNullException.ThrowIfNull(jsonTypeInfo);
        if (!s_readings.TryGetValue(jsonTypeInfo, out var reading))
        {
            reading = s_readings.GetValue(jsonTypeInfo, Reading.Of);
        }

        try
        {
            return Read<T>(utf8, reading);
        }
        catch (InvalidOperationException) when (!ReferenceEquals(reading.Info, jsonTypeInfo))
        {
            // Two names of the type differ in case only, or the type itself cannot be read and fails again.
            reading = Reading.Exact(jsonTypeInfo);
            var value = Read<T>(utf8, reading);
            s_readings.AddOrUpdate(jsonTypeInfo, reading);
            return value;
        }
    }

    /// <summary>Reads by reflection, with the options that a caller has given.</summary>
    /// <exception cref="JsonException">It is not JSON, or does not fit <typeparamref name="T"/>.</exception>
    [RequiresUnreferencedCode("Reflects over T.")]
    [RequiresDynamicCode("Reflects over T.")]
    public static T? Read<T>(ReadOnlySpan<byte> utf8, JsonSerializerOptions options)
    {
        options.MakeReadOnly(populateMissingResolver: true);
        return Read(utf8, (JsonTypeInfo<T>)options.GetTypeInfo(typeof(T)));
    }

    private static T? Read<T>(ReadOnlySpan<byte> utf8, Reading reading)
    {
        var info = (JsonTypeInfo<T>)reading.Info;
        return reading.MayRename(utf8) && JsonNameRewriter.Rewrite(utf8, reading.Names, reading.Info.Options) is { } renamed
            ? renamed.Deserialize(info)
            : JsonSerializer.Deserialize(utf8, info);
    }

    /// <summary>How values of a type are read. Immutable.</summary>
    private sealed class Reading
    {
        private readonly bool _alwaysLooks;

        private Reading(JsonTypeInfo info, JsonNames? names, bool isCaseTolerant)
        {
            Info = info;
            Names = names;
            _alwaysLooks = names is not null && (!isCaseTolerant || names.Graph.HasSeparators);
        }

        /// <summary>What the text is read with.</summary>
        public JsonTypeInfo Info { get; }

        /// <summary>The names of the type; null when no object that it holds has any.</summary>
        public JsonNames? Names { get; }

        public static Reading Of(JsonTypeInfo given)
        {
            var isCaseTolerant = given.Options.PropertyNameCaseInsensitive;
            var names = JsonNames.Of(given);
            return !isCaseTolerant && names is { Graph.HasNamesEqualButForCase: false } && TryCaseTolerant(given, out var tolerant)
                ? new Reading(tolerant, names, isCaseTolerant: true)
                : new Reading(given, names, isCaseTolerant);
        }

        /// <summary>A type whose names System.Text.Json must compare exactly.</summary>
        public static Reading Exact(JsonTypeInfo given) => new(given, JsonNames.Of(given), isCaseTolerant: false);

        /// <summary>Whether a name in the text may have to be replaced. Finds out without reading the text where that is possible.</summary>
        [MemberNotNullWhen(true, nameof(Names))]
        public bool MayRename(ReadOnlySpan<byte> utf8) => Names is not null && (_alwaysLooks || JsonNameRewriter.MayHaveSeparatedName(utf8));

        // A type info that was made by hand is not what its options lead to, and is used as it is.
        private static bool TryCaseTolerant(JsonTypeInfo given, [NotNullWhen(true)] out JsonTypeInfo? tolerant)
        {
            tolerant = null;
            return given.Options.TryGetTypeInfo(given.Type, out var known)
                && ReferenceEquals(known, given)
                && s_caseTolerant
                    .GetValue(given.Options, static exact => new JsonSerializerOptions(exact) { PropertyNameCaseInsensitive = true })
                    .TryGetTypeInfo(given.Type, out tolerant);
        }
    }
}
