using Microsoft.Extensions.Logging;

namespace KvStore.Hybrid;

/// <summary>Log messages of the HybridCache.</summary>
internal static partial class HybridLog
{
    [LoggerMessage(10, LogLevel.Error, "The value of the key {Key} is longer than the {BytesMax} bytes that the HybridCache takes, and was not cached. Raise MaximumPayloadBytes, or cache less in one entry")]
    public static partial void PayloadTooLong(this ILogger logger, string key, long bytesMax);

    [LoggerMessage(11, LogLevel.Error, "A key of the HybridCache is null, empty or blank, and its value was not cached. A key must have a visible character")]
    public static partial void KeyIsBlank(this ILogger logger);

    [LoggerMessage(12, LogLevel.Error, "A key of the HybridCache has {Length} characters, and its value was not cached. The longest key that MaximumKeyLength allows has {LengthMax}")]
    public static partial void KeyTooLong(this ILogger logger, int length, int lengthMax);

    [LoggerMessage(13, LogLevel.Error, "The key {Key} of the HybridCache has a control character (U+0000 to U+001F), and its value was not cached")]
    public static partial void KeyHasControlCharacter(this ILogger logger, string key);

    [LoggerMessage(14, LogLevel.Error, "The value of the key {Key} cannot be serialized, and was not cached")]
    public static partial void SerializationFailed(this ILogger logger, string key, Exception exception);

    [LoggerMessage(15, LogLevel.Error, "The cached value of the key {Key} cannot be read as {Type} ({Reason}). It counts as missing, and the next value that is created replaces it")]
    public static partial void DeserializationFailed(this ILogger logger, string key, Type type, string reason);

    [LoggerMessage(17, LogLevel.Error, "The key {Key} of the HybridCache has half of a surrogate pair, and its value was not cached. A key must be Unicode")]
    public static partial void KeyIsNotUnicode(this ILogger logger, string key);

    [LoggerMessage(18, LogLevel.Error, "The tag {Tag} of an entry of the HybridCache has half of a surrogate pair, and the value was not cached. A tag must be Unicode")]
    public static partial void TagIsNotUnicode(this ILogger logger, string tag);

    [LoggerMessage(19, LogLevel.Error, "The text of the key {Key} has half of a surrogate pair, and was not cached, because it could not be read back. Cache Unicode, or bytes")]
    public static partial void TextIsNotUnicode(this ILogger logger, string key);

    [LoggerMessage(16, LogLevel.Error, "The HybridCache does not watch the KV namespace {Namespace} any more. Removals by tag read all entries from now on, and objects of removed entries stay in memory until their keys are asked for")]
    public static partial void WatchFailed(this ILogger logger, string @namespace, Exception exception);
}
