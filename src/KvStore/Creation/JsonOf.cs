using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvStore.Json;
using KvStore.Reads;

namespace KvStore.Creation;

/// <summary>How values of a type become JSON and back: by generated code, or with the defaults.</summary>
/// <param name="typeInfo">The generated code; null for the defaults, which reflect. Only members that say that they reflect give null.</param>
internal readonly struct JsonOf<T>(JsonTypeInfo<T>? typeInfo)
{
    private const string SaysSo = "The public members that pass null say that they reflect.";

    /// <summary>Identifies this way of reading among all of the type.</summary>
    public object Form => typeInfo ?? JsonForm<T>.Default;

    /// <summary>Reads the value of an entry that exists.</summary>
    /// <exception cref="JsonException">The value is not JSON, or does not fit <typeparamref name="T"/>.</exception>
    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = SaysSo)]
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = SaysSo)]
    public T Read(IKvNamespace kv, string key, in KvValue value) =>
        (typeInfo is null ? NamedJson.Read<T>(kv, key, value) : NamedJson.Read(kv, key, value, typeInfo))!;

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = SaysSo)]
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = SaysSo)]
    public T Read(ReadOnlySpan<byte> json) =>
        (typeInfo is null ? KvJson.Read<T>(json, KvJson.Options) : KvJson.Read(json, typeInfo))!;

    /// <summary>Writes a value.</summary>
    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = SaysSo)]
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = SaysSo)]
    public byte[] Write(T value) => typeInfo is null
        ? JsonSerializer.SerializeToUtf8Bytes(value, KvJson.Options)
        : JsonSerializer.SerializeToUtf8Bytes(value, typeInfo);
}
