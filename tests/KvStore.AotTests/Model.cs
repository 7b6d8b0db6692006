using System.Text.Json.Serialization;

namespace KvStore.AotTests;

/// <summary>What is stored as JSON, here and there with a null.</summary>
internal sealed record Preference(string Theme, int FontPoints, string[]? Pinned);

/// <summary>What is stored beside a value.</summary>
internal sealed record FlagState(bool Enabled, string By);

/// <summary>Reads and writes both without reflection.</summary>
[JsonSourceGenerationOptions(System.Text.Json.JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Preference))]
[JsonSerializable(typeof(FlagState))]
internal sealed partial class ModelJson : JsonSerializerContext;
