using System.Text.Json;

namespace KvStore.Rules;

/// <summary>How messages of our own say which operation failed, of which key, in which namespace.</summary>
internal static class NamedEntry
{
    /// <summary>The name of a put in messages.</summary>
    public const string Put = "PUT";

    /// <summary>What is wrong with the default value of <see cref="KvContent"/>.</summary>
    public const string DefaultContent =
        "The content is default(KvContent), which is no value. Give a string, bytes, a stream or a pipe; for an empty value an empty string or array.";

    /// <summary>The operation, the key and the namespace (if it is known), for the middle of a sentence.</summary>
    public static string Of(string operation, string? namespaceName, string key) => namespaceName is null
        ? $"{operation} of the key {VisibleKey.Quote(key)}"
        : $"{operation} of the key {VisibleKey.Quote(key)} in the namespace {VisibleKey.Quote(namespaceName)}";

    /// <summary>The sentence at the end of a refusal that is about the content or the options of a write.</summary>
    public static string NothingStored(string? namespaceName, string key, string operation = Put) =>
        $"Nothing was stored by {Of(operation, namespaceName, key)}.";

    /// <summary>The message for a put of the default value of <see cref="KvContent"/>.</summary>
    public static string NoContent(string namespaceName, string key) => $"{DefaultContent} {NothingStored(namespaceName, key)}";

    /// <summary>The message for a conditional write with the default value of <see cref="KvCondition"/>.</summary>
    public static string NoCondition(string operation, string namespaceName, string key) =>
        $"The condition is default(KvCondition), which says nothing. Give KvCondition.Absent, KvCondition.Present or KvCondition.Revision(revision). Nothing was changed by {Of(operation, namespaceName, key)}.";

    /// <summary>An exception with the names before its message.</summary>
    public static JsonException WithNames(JsonException exception, string operation, string namespaceName, string key) => new(
        $"{Of(operation, namespaceName, key)}: {char.ToLowerInvariant(exception.Message[0])}{exception.Message.AsSpan(1)}",
        path: null,
        exception.LineNumber,
        exception.BytePositionInLine);
}
