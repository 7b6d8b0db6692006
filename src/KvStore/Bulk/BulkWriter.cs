using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

namespace KvStore.Bulk;

/// <summary>Writes a bulk file entry by entry, handing on what has gathered whenever it is enough. For one caller at a time.</summary>
internal sealed class BulkWriter : IAsyncDisposable
{
    private const int FlushBytes = 64 * 1024;

    private readonly Utf8JsonWriter _json;
    private long _count;

    public BulkWriter(Stream stream)
    {
        _json = new Utf8JsonWriter(stream, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        _json.WriteStartArray();
    }

    /// <summary>Writes an entry.</summary>
    public async ValueTask WriteAsync(string key, KvValue value, CancellationToken cancellationToken)
    {
        _json.WriteStartObject();
        _json.WriteString("key"u8, key);
        var bytes = value.GetBytes().Span;
        if (Utf8.IsValid(bytes))
        {
            _json.WriteString("value"u8, bytes);
        }
        else
        {
            _json.WriteBase64String("value"u8, bytes);
            _json.WriteBoolean("base64"u8, true);
        }

        if (value.Expiration is { } expiration)
        {
            _json.WriteNumber("expiration"u8, expiration.ToUnixTimeSeconds());
        }

        if (!value.Metadata.IsNull)
        {
            _json.WritePropertyName("metadata"u8);
            _json.WriteRawValue(value.Metadata.Utf8Json.Span);
        }

        _json.WriteEndObject();
        _count++;
        if (_json.BytesPending >= FlushBytes)
        {
            await _json.FlushAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Ends the file.</summary>
    /// <returns>How many entries it has.</returns>
    public async ValueTask<long> CompleteAsync(CancellationToken cancellationToken)
    {
        _json.WriteEndArray();
        await _json.FlushAsync(cancellationToken).ConfigureAwait(false);
        return _count;
    }

    public ValueTask DisposeAsync() => _json.DisposeAsync();
}
