using System.Text.Json;

namespace KvStore.Tests.Vectors;

/// <summary>Turns the recorded arguments of a put into those of C#.</summary>
internal static class PutArguments
{
    public static KvContent Content(JsonElement value)
    {
        var form = value.GetProperty("as").GetString();
        if (form == "string")
        {
            return Literal.Text(value.GetProperty("text"));
        }

        var bytes = Literal.Bytes(value.GetProperty("bytes"));
        switch (form)
        {
            case "arrayBuffer":
                return bytes;
            case "uint8Array":
                return new ReadOnlyMemory<byte>(bytes);
            case "subarray":
                // A view on the middle of something larger.
                byte[] larger = [0xAA, .. bytes, 0xBB];
                return larger.AsMemory(1, bytes.Length);
            case "stream":
                return new ChunkedStream(bytes, value.TryGetProperty("chunk", out var chunk) ? chunk.GetInt32() : bytes.Length);
            case "responseStream":
                return new MemoryStream(bytes);
            default:
                throw new InvalidDataException($"{form} is not a value that the recordings know.");
        }
    }

    public static KvPutOptions? Options(JsonElement operation, RecordedTimes times)
    {
        if (!operation.TryGetProperty("options", out var options))
        {
            return null;
        }

        return new KvPutOptions
        {
            ExpirationTtl = options.TryGetProperty("expirationTtl", out var ttl) ? TimeSpan.FromSeconds(ttl.GetInt64()) : null,
            Expiration = options.TryGetProperty("expiration", out var at) ? DateTimeOffset.FromUnixTimeSeconds(Seconds(at, times)) : null,
            Metadata = options.TryGetProperty("metadata", out var metadata)
                ? KvMetadata.FromJson(RecordedJson.WriteLoosely(metadata))
                : default,
        };
    }

    private static long Seconds(JsonElement recorded, RecordedTimes times) =>
        recorded.ValueKind == JsonValueKind.Number ? recorded.GetInt64() : times.Seconds(recorded.GetString()!);
}
