using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace KvStore.Json;

/// <summary>
/// Reads an enum from its number or its name, because generated code may write names. Writes the number, as System.Text.Json does. A
/// name may be written with another naming policy (<c>SentBack</c>, <c>sent_back</c>), unless two names differ in nothing else. A type
/// that names a converter of its own keeps it.
/// </summary>
[RequiresDynamicCode("Makes converters for the enums that it meets.")]
internal sealed class EnumDialect : JsonConverterFactory
{
    public override bool CanConvert(Type typeToConvert) =>
        typeToConvert.IsEnum && typeToConvert.GetCustomAttribute<JsonConverterAttribute>() is null;

    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = "Used by the overloads that reflect over their type, which say so.")]
    [UnconditionalSuppressMessage("Trimming", "IL2055", Justification = "Used by the overloads that reflect over their type, which say so.")]
    [UnconditionalSuppressMessage("Trimming", "IL2070", Justification = "Used by the overloads that reflect over their type, which say so.")]
    [UnconditionalSuppressMessage("Trimming", "IL2071", Justification = "Used by the overloads that reflect over their type, which say so.")]
    public override JsonConverter CreateConverter(Type typeToConvert, JsonSerializerOptions options) =>
        (JsonConverter)Activator.CreateInstance(typeof(Converter<>).MakeGenericType(typeToConvert))!;

    private sealed class Converter<T> : JsonConverter<T>
        where T : struct, Enum
    {
        private static readonly JsonConverter<T> s_names = (JsonConverter<T>)new JsonStringEnumConverter<T>().CreateConverter(typeof(T), new JsonSerializerOptions());
        private static readonly bool s_isUnsigned = Type.GetTypeCode(typeof(T)) == TypeCode.UInt64;

        private static readonly FrozenDictionary<string, T> s_alike = Enum.GetNames<T>()
            .GroupBy(WithoutSeparators, StringComparer.OrdinalIgnoreCase)
            .Where(static names => names.Count() == 1)
            .ToFrozenDictionary(static names => names.Key, static names => Enum.Parse<T>(names.Single()), StringComparer.OrdinalIgnoreCase);

        public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            TryReadAlike(ref reader, out var value) ? value : s_names.Read(ref reader, typeToConvert, options);

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options)
        {
            if (s_isUnsigned)
            {
                writer.WriteNumberValue(Convert.ToUInt64(value, System.Globalization.CultureInfo.InvariantCulture));
            }
            else
            {
                writer.WriteNumberValue(Convert.ToInt64(value, System.Globalization.CultureInfo.InvariantCulture));
            }
        }

        public override T ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            TryReadAlike(ref reader, out var value) ? value : s_names.ReadAsPropertyName(ref reader, typeToConvert, options);

        public override void WriteAsPropertyName(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
            s_names.WriteAsPropertyName(writer, value, options);

        private static bool TryReadAlike(ref Utf8JsonReader reader, out T value)
        {
            value = default;
            return reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName
                && reader.ValueSpan.ContainsAny((byte)'_', (byte)'-')
                && s_alike.TryGetValue(WithoutSeparators(reader.GetString()!), out value);
        }

        private static string WithoutSeparators(string name)
        {
            var likeness = new char[name.Length];
            return new string(likeness, 0, JsonNames.WithoutSeparators(name, likeness));
        }
    }
}
