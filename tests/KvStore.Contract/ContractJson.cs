using System.Text.Json.Serialization;

namespace KvStore.Contract;

/// <summary>What the contract stores as JSON.</summary>
public sealed record Flag(string Name, bool IsOn);

/// <summary>Generated code for it, in the camel case of the web.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Flag))]
[JsonSerializable(typeof(int[]))]
internal sealed partial class ContractJson : JsonSerializerContext;
