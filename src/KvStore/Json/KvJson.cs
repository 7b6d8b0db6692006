using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;

namespace KvStore.Json;

/// <summary>How values and metadata become JSON and back where the caller does not say.</summary>
internal static class KvJson
{
    /// <summary>
    /// How deep JSON may be nested. System.Text.Json stops at 64 by default; the binding does not stop, and this
    /// is as deep as a recursive type can be read without endangering the stack.
    /// </summary>
    public const int DepthMax = 1000;

    /// <summary>
    /// The web defaults of System.Text.Json (camel case), without escaping what JSON lets stand: text beyond ASCII takes
    /// its own bytes, not six for each character. Enums are written as numbers and read from numbers and names.
    /// </summary>
    public static JsonSerializerOptions Options { get; } = CreateOptions();

    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = "The options are used by the overloads that reflect over their type, which say so.")]
    private static JsonSerializerOptions CreateOptions() => new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        MaxDepth = DepthMax,
        Converters = { new EnumDialect() },
    };

    /// <summary>How the message for a value begins; the type follows.</summary>
    public const string ValueDoesNotFit = "The value is not JSON, or does not fit";

    /// <summary>How the message for metadata begins, which is always JSON; the type follows.</summary>
    public const string MetadataDoesNotFit = "The metadata does not fit";

    /// <summary>Reads JSON as a type. An exception does not quote the JSON.</summary>
    /// <exception cref="JsonException">It is not JSON, or does not fit <typeparamref name="T"/>.</exception>
    [RequiresUnreferencedCode("Reflects over T.")]
    [RequiresDynamicCode("Reflects over T.")]
    public static T? Read<T>(ReadOnlySpan<byte> utf8, JsonSerializerOptions options, string doesNotFit = ValueDoesNotFit)
    {
        try
        {
            return JsonDialect.Read<T>(utf8, options);
        }
        catch (JsonException e)
        {
            throw WithoutContent(e, typeof(T), doesNotFit);
        }
        catch (NotSupportedException e)
        {
            throw WithoutContent(e);
        }
    }

    /// <summary>Reads JSON by generated code. An exception does not quote the JSON.</summary>
    /// <exception cref="JsonException">It is not JSON, or does not fit <typeparamref name="T"/>.</exception>
    public static T? Read<T>(ReadOnlySpan<byte> utf8, JsonTypeInfo<T> jsonTypeInfo, string doesNotFit = ValueDoesNotFit)
    {
        try
        {
            return JsonDialect.Read(utf8, jsonTypeInfo);
        }
        catch (JsonException e)
        {
            throw WithoutContent(e, typeof(T), doesNotFit);
        }
        catch (NotSupportedException e)
        {
            throw WithoutContent(e);
        }
    }

    /// <summary>
    /// An exception in place of one of System.Text.Json, which quotes what it cannot read: characters, a literal to the end of
    /// the text, and the names on the path to a value. Without a cause, because logs print causes as well.
    /// </summary>
    /// <param name="exception">The exception of System.Text.Json.</param>
    /// <param name="type">What the JSON was read as; null when it was only checked.</param>
    /// <param name="doesNotFit">How the message begins; the type follows.</param>
    public static JsonException WithoutContent(JsonException exception, Type? type = null, string doesNotFit = ValueDoesNotFit) => new(
        type is null
            ? $"This is not one JSON value.{PlaceOf(exception)}"
            : $"{doesNotFit} {type}.{PlaceOf(exception)}",
        path: null,
        exception.LineNumber,
        exception.BytePositionInLine);

    /// <summary>Where the JSON breaks, as a sentence with a space before it; empty when the exception does not say.</summary>
    public static string PlaceOf(JsonException exception) =>
        exception is { LineNumber: { } line, BytePositionInLine: { } position }
            ? string.Create(CultureInfo.InvariantCulture, $" It breaks in line {line + 1}, at byte {position + 1}.")
            : "";

    // It names a type, and then the path to the value.
    private static NotSupportedException WithoutContent(NotSupportedException exception)
    {
        var path = exception.Message.IndexOf(" Path: ", StringComparison.Ordinal);
        return new NotSupportedException(path < 0 ? exception.Message : exception.Message[..path]);
    }

    /// <summary>Whether bytes are exactly one JSON value.</summary>
    public static bool IsOneValue(ReadOnlySpan<byte> utf8)
    {
        var reader = new Utf8JsonReader(utf8, new JsonReaderOptions { MaxDepth = int.MaxValue });
        try
        {
            return reader.Read() && (reader.TrySkip() & !reader.Read());
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>
    /// The bytes of JSON text: what is not UTF-8 is U+FFFD, as when the value is read as text. System.Text.Json would let
    /// some of it pass and fail on it later.
    /// </summary>
    public static ReadOnlySpan<byte> Repair(ReadOnlySpan<byte> utf8) =>
        Utf8.IsValid(utf8) ? utf8 : Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(utf8));
}
