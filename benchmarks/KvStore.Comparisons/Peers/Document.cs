using System.Text.Json.Serialization;

namespace KvStore.Comparisons.Peers;

/// <summary>A value of an immutable type: what a cache of settings or users holds.</summary>
internal sealed record Document(string Name, int Age, bool IsActive);

[JsonSerializable(typeof(Document))]
internal sealed partial class DocumentContext : JsonSerializerContext;
