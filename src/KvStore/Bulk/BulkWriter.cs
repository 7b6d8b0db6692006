using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;
using KvStore.Json;

namespace KvStore.Bulk;

/// <summary>Writes a bulk file entry by entry, and sends the buffer whenever it is large enough. For one caller at a time.</summary>
internal sealed class BulkWriter : IAsyncDisposable
{
    private const int FlushBytes = 64 * 1024;

    private readonly Utf8JsonWriter _json;
    private long _count;

    public BulkWriter(Stream stream)
    {
        _json = new Utf8JsonWriter(stream, new JsonWriterOptions
        {
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            MaxDepth = KvJson.DepthMax + 2,
        });
        _json.WriteStartArray();
    }

    /// <summary>Writes an entry.</summary>
    public async ValueTask WriteAsync(string key, KvValue value, CancellationToken cancellationToken)
    {
        _json.WriteStartObject();
        _json.WriteString("key"u8, key);
        await WriteValueAsync(await value.ReadBytesAsync(cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
        if (value.Expiration is { } expiration)
        {
            _json.WriteNumber("expiration"u8, expiration.ToUnixTimeSeconds());
        }

        if (!value.Metadata.IsNull)
        {
            _json.WritePropertyName("metadata"u8);

            // The JSON was checked when the metadata was created.
            _json.WriteRawValue(value.Metadata.Utf8Json.Span, skipInputValidation: true);
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

    // In parts, so that the escaped text of a large value, which may be several times as long, is not in memory.
    private async ValueTask WriteValueAsync(ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
    {
        var isText = Utf8.IsValid(value.Span);
        _json.WritePropertyName("value"u8);
        do
        {
            var part = value.Span[..Math.Min(value.Length, FlushBytes)];
            value = value[part.Length..];
            if (isText)
            {
                _json.WriteStringValueSegment(part, isFinalSegment: value.IsEmpty);
            }
            else
            {
                _json.WriteBase64StringSegment(part, isFinalSegment: value.IsEmpty);
            }

            if (_json.BytesPending >= FlushBytes)
            {
                await _json.FlushAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        while (!value.IsEmpty);

        if (!isText)
        {
            _json.WriteBoolean("base64"u8, true);
        }
    }

    public ValueTask DisposeAsync() => _json.DisposeAsync();
}
