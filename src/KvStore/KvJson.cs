using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

namespace KvStore;

/// <summary>How values and metadata become JSON and back where the caller does not say.</summary>
internal static class KvJson
{
    /// <summary>
    /// How deep JSON may be nested. System.Text.Json stops at 64 unless told otherwise; the binding does not stop, and this
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
