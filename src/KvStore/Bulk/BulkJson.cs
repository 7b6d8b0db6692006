using System.Text.Json;
using System.Text.Json.Serialization;

namespace KvStore.Bulk;

/// <summary>How the entries of a bulk file are read, by generated code.</summary>
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class BulkJson : JsonSerializerContext;
