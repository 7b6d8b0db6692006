using System.Buffers;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;

namespace KvStore.Bulk;

/// <summary>
/// A JSON string that is too long for memory. Its text in UTF-8 is in a temporary file that only this process can read, and that is
/// removed with this object. For one caller at a time.
/// </summary>
internal sealed class LongText : IAsyncDisposable
{
    private const int PartBytes = 64 * 1024;

    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly FileStream _file = NewFile();
    private readonly ArrayBufferWriter<byte> _decoded = new(PartBytes);
    private readonly char[] _chars = ArrayPool<char>.Shared.Rent(s_strict.GetMaxCharCount(PartBytes));
    private readonly Decoder _decoder = s_strict.GetDecoder();
    private JsonTextDecoder _escapes;

    /// <summary>The length of the appended text in bytes of UTF-8.</summary>
    public long Length { get; private set; }

    /// <summary>Whether the text is Unicode: all bytes are UTF-8, and there is no half of a surrogate pair.</summary>
    public bool IsUnicode { get; private set; } = true;

    /// <summary>Appends the next bytes between the quotes.</summary>
    /// <exception cref="JsonException">There is an escape that JSON does not have, or a control character.</exception>
    public async ValueTask AppendAsync(ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        while (!json.IsEmpty)
        {
            var part = json[..Math.Min(json.Length, PartBytes)];
            json = json[part.Length..];
            _escapes.Decode(part.Span, _decoded);
            Check(_decoded.WrittenSpan, isEnd: false);
            await _file.WriteAsync(_decoded.WrittenMemory, cancellationToken).ConfigureAwait(false);
            Length += _decoded.WrittenCount;
            _decoded.ResetWrittenCount();
        }
    }

    /// <summary>Ends the text at the closing quote.</summary>
    /// <exception cref="JsonException">The quote is in the middle of an escape.</exception>
    public void End()
    {
        _escapes.End();
        Check([], isEnd: true);
        IsUnicode &= !_escapes.HasHalfPair;
    }

    /// <summary>The text from its beginning. The stream belongs to this object.</summary>
    public Stream Read()
    {
        _file.Position = 0;
        return _file;
    }

    /// <summary>The bytes whose base64 the text is, in a file that is removed with the stream.</summary>
    /// <exception cref="FormatException">It is not base64.</exception>
    public async ValueTask<Stream> ReadBase64Async(CancellationToken cancellationToken)
    {
        var bytes = NewFile();
        var text = ArrayPool<byte>.Shared.Rent(PartBytes);
        try
        {
            var stream = Read();
            var held = 0;
            while (true)
            {
                var read = await stream.ReadAtLeastAsync(text.AsMemory(held, PartBytes - held), PartBytes - held, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
                held += read;
                var isEnd = held < PartBytes;
                var whole = isEnd ? held : held & ~3;
                if (Base64.DecodeFromUtf8InPlace(text.AsSpan(0, whole), out var written) != OperationStatus.Done || (!isEnd && written != whole / 4 * 3))
                {
                    throw new FormatException(BulkEntry.NotBase64);
                }

                await bytes.WriteAsync(text.AsMemory(0, written), cancellationToken).ConfigureAwait(false);
                if (isEnd)
                {
                    bytes.Position = 0;
                    return bytes;
                }

                held = 0;
            }
        }
        catch
        {
            await bytes.DisposeAsync().ConfigureAwait(false);
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(text);
        }
    }

    public ValueTask DisposeAsync()
    {
        ArrayPool<char>.Shared.Return(_chars);
        return _file.DisposeAsync();
    }

    private static FileStream NewFile()
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Options = FileOptions.DeleteOnClose | FileOptions.Asynchronous,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return new FileStream(Path.Combine(Path.GetTempPath(), $"kvstore-{Guid.NewGuid():N}.tmp"), options);
    }

    private void Check(ReadOnlySpan<byte> utf8, bool isEnd)
    {
        try
        {
            while (IsUnicode && (isEnd || !utf8.IsEmpty))
            {
                var part = utf8[..Math.Min(utf8.Length, PartBytes)];
                utf8 = utf8[part.Length..];
                _decoder.GetChars(part, _chars, flush: isEnd);
                isEnd = false;
            }
        }
        catch (DecoderFallbackException)
        {
            IsUnicode = false;
        }
    }
}
