using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace KvStore.Bulk;

/// <summary>
/// A filter for a stream of JSON: each string that is too long for memory is moved to a <see cref="LongText"/>, and replaced by a
/// name. So the reader of the JSON needs little memory for any input.
/// </summary>
/// <remarks>
/// The filter only finds where strings begin and end. The reader of the JSON reports other errors. A name cannot be guessed, so no
/// text in a file is taken for a name. For one caller at a time.
/// </remarks>
internal sealed class LongTextFilter(Stream inner) : Stream
{
    /// <summary>The longest string that stays in the JSON, in bytes as it is written.</summary>
    public const int StringBytesMax = 256 * 1024;

    private const int InputBytes = 16 * 1024;

    // Longer than the base64 of any value.
    private const long TextBytesMax = 1L << 31;

    private readonly byte[] _input = ArrayPool<byte>.Shared.Rent(InputBytes);
    private readonly ArrayBufferWriter<byte> _output = new(InputBytes);
    private readonly ArrayBufferWriter<byte> _string = new();
    private readonly Dictionary<string, LongText> _texts = new(StringComparer.Ordinal);
    private readonly string _prefix = $"@{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16))}:";
    private int _inputStart;
    private int _inputEnd;
    private int _outputStart;
    private bool _isEnd;
    private bool _isInString;
    private bool _isEscaped;
    private LongText? _text;
    private int _count;

    /// <summary>Whether no text was moved.</summary>
    public bool IsEmpty => _texts.Count == 0;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>The names in a piece of JSON, each of which stands for a text.</summary>
    public IReadOnlyList<string> NamesIn(ReadOnlySpan<byte> json)
    {
        if (IsEmpty)
        {
            return [];
        }

        var names = new List<string>();
        var prefix = Encoding.ASCII.GetBytes(_prefix);
        while (json.IndexOf(prefix) is var at and >= 0)
        {
            json = json[at..];
            var end = json.IndexOf((byte)'"');
            names.Add(Encoding.ASCII.GetString(json[..end]));
            json = json[end..];
        }

        return names;
    }

    /// <summary>The text of a name; null for a string that is no name.</summary>
    public LongText? Find(string name) => _texts.GetValueOrDefault(name);

    /// <summary>Releases texts.</summary>
    public async ValueTask ReleaseAsync(IEnumerable<string> names)
    {
        foreach (var name in names)
        {
            if (_texts.Remove(name, out var text))
            {
                await text.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_outputStart == _output.WrittenCount && !_isEnd)
        {
            _output.ResetWrittenCount();
            _outputStart = 0;
            if (_inputStart == _inputEnd)
            {
                _inputStart = 0;
                _inputEnd = await inner.ReadAsync(_input.AsMemory(0, InputBytes), cancellationToken).ConfigureAwait(false);
                _isEnd = _inputEnd == 0;
            }

            await StepAsync(cancellationToken).ConfigureAwait(false);
        }

        var count = Math.Min(buffer.Length, _output.WrittenCount - _outputStart);
        _output.WrittenMemory.Slice(_outputStart, count).CopyTo(buffer);
        _outputStart += count;
        return count;
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("This stream is read asynchronously.");

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override async ValueTask DisposeAsync()
    {
        ArrayPool<byte>.Shared.Return(_input);
        if (_text is not null)
        {
            await _text.DisposeAsync().ConfigureAwait(false);
        }

        await ReleaseAsync([.. _texts.Keys]).ConfigureAwait(false);
        await base.DisposeAsync().ConfigureAwait(false);
    }

    // All of the input, or the input up to the end of a long string. Use the moved text before reading on.
    private async ValueTask StepAsync(CancellationToken cancellationToken)
    {
        while (_inputStart < _inputEnd)
        {
            var input = _input.AsMemory(_inputStart, _inputEnd - _inputStart);
            if (!_isInString)
            {
                var quote = input.Span.IndexOf((byte)'"');
                var passed = quote < 0 ? input.Length : quote + 1;
                _isInString = quote >= 0;
                _output.Write(input.Span[..passed]);
                _inputStart += passed;
                continue;
            }

            var length = LengthInString(input.Span, out var isClosed);
            _inputStart += length + (isClosed ? 1 : 0);
            _isInString = !isClosed;
            if (_text is null && _string.WrittenCount + length <= StringBytesMax)
            {
                // The beginning of a string is held back until the string is known not to be long.
                _string.Write(input.Span[..length]);
                if (isClosed)
                {
                    _output.Write(_string.WrittenSpan);
                    _output.Write("\""u8);
                    _string.ResetWrittenCount();
                }

                continue;
            }

            await TakeLongAsync(input[..length], cancellationToken).ConfigureAwait(false);
            if (isClosed)
            {
                Name();
                return;
            }
        }

        if (_isEnd)
        {
            // A string that does not end. The reader reports it.
            _output.Write(_string.WrittenSpan);
            _string.ResetWrittenCount();
        }
    }

    private int LengthInString(ReadOnlySpan<byte> input, out bool isClosed)
    {
        var at = 0;
        while (at < input.Length)
        {
            if (_isEscaped)
            {
                _isEscaped = false;
                at++;
                continue;
            }

            var next = input[at..].IndexOfAny((byte)'"', (byte)'\\');
            if (next < 0)
            {
                break;
            }

            at += next;
            if (input[at] == '"')
            {
                isClosed = true;
                return at;
            }

            _isEscaped = true;
            at++;
        }

        isClosed = false;
        return input.Length;
    }

    private async ValueTask TakeLongAsync(ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        if (_text is null)
        {
            _text = new LongText();
            await _text.AppendAsync(_string.WrittenMemory, cancellationToken).ConfigureAwait(false);
            _string.ResetWrittenCount();
        }

        await _text.AppendAsync(json, cancellationToken).ConfigureAwait(false);
        if (_text.Length > TextBytesMax)
        {
            throw new JsonException($"A text is longer than {TextBytesMax} bytes.");
        }
    }

    private void Name()
    {
        _text!.End();
        var name = _prefix + (_count++).ToString(CultureInfo.InvariantCulture);
        _texts.Add(name, _text);
        _text = null;
        _output.Write(Encoding.ASCII.GetBytes(name));
        _output.Write("\""u8);
    }
}
