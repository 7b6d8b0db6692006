using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace KvStore.Transport;

/// <summary>
/// Follows the bytes of an HTTP/1.1 connection from request to request, and puts <c>%FF</c> in the place of <c>%00</c> in the
/// path of each (<see cref="NulMarks"/>). The length of nothing changes.
/// </summary>
/// <remarks>
/// Sees every byte once, in order, before the server does; for one caller at a time. What it does not understand ends its work:
/// from then on all bytes pass unchanged, and the server says what is wrong with them.
/// </remarks>
internal sealed class RequestScanner
{
    // Longer ones are neither of the two headers that say how long a body is.
    private const int LineBytesMax = 512;

    private readonly byte[] _line = new byte[LineBytesMax];
    private int _lineBytes;
    private State _state = State.Method;
    private long _bodyBytes;
    private bool _isChunked;

    // The two bytes before the one looked at, when they may be the beginning of an escape.
    private Memory<byte> _escapeDigit;
    private int _escapeBytes;

    private enum State
    {
        Method,
        Path,
        RestOfRequestLine,
        Headers,
        Body,
        ChunkSize,
        ChunkData,
        ChunkEnd,
        Trailers,
        Passing,
    }

    /// <summary>Looks at the next bytes, and changes them where they are.</summary>
    public void Scan(ReadOnlyMemory<byte> next)
    {
        // The server decodes paths in place in the same memory: what the transport has received belongs to its reader.
        var memory = MemoryMarshal.AsMemory(next);
        var bytes = memory.Span;
        for (var i = 0; i < bytes.Length;)
        {
            switch (_state)
            {
                case State.Passing:
                    return;
                case State.Body or State.ChunkData:
                    var part = (int)Math.Min(_bodyBytes, bytes.Length - i);
                    _bodyBytes -= part;
                    i += part;
                    if (_bodyBytes == 0)
                    {
                        Enter(_state == State.Body ? State.Method : State.ChunkEnd);
                    }

                    break;
                default:
                    Step(memory.Slice(i, 1));
                    i++;
                    break;
            }
        }
    }

    private void Step(Memory<byte> at)
    {
        var value = at.Span[0];
        switch (_state)
        {
            case State.Method:
                if (value == ' ')
                {
                    // The preface of HTTP/2, which frames its requests in another way; and what makes a tunnel.
                    Enter(LineIs("PRI") || LineIs("CONNECT") ? State.Passing : State.Path);
                }
                else if (value is not ((byte)'\r' or (byte)'\n'))
                {
                    Append(value);
                }

                break;
            case State.Path:
                StepInPath(at, value);
                break;
            case State.RestOfRequestLine:
                if (value == '\n')
                {
                    _isChunked = false;
                    _bodyBytes = 0;
                    Enter(State.Headers);
                }

                break;
            default:
                if (value == '\n')
                {
                    EndLine();
                }
                else if (value != '\r')
                {
                    Append(value);
                }

                break;
        }
    }

    private void StepInPath(Memory<byte> at, byte value)
    {
        if (value is (byte)' ' or (byte)'?' or (byte)'\r' or (byte)'\n')
        {
            Enter(value == '\n' ? State.Passing : State.RestOfRequestLine);
        }
        else if (value == '%')
        {
            _escapeBytes = 1;
        }
        else if (_escapeBytes == 1)
        {
            // Nothing of a request line is handed back before all of it has arrived, so the digit may be changed later.
            _escapeDigit = at;
            _escapeBytes = 2;
        }
        else if (_escapeBytes == 2)
        {
            _escapeBytes = 0;
            ref var first = ref _escapeDigit.Span[0];
            if (first == '0' && value == '0')
            {
                first = (byte)'F';
                at.Span[0] = (byte)'F';
            }
            else if ((first | 0x20) == 'f' && (value | 0x20) == 'f')
            {
                at.Span[0] = (byte)'E';
            }
        }
    }

    private void EndLine()
    {
        var line = _lineBytes <= LineBytesMax ? _line.AsSpan(0, _lineBytes) : default;
        var isEmpty = _lineBytes == 0;
        switch (_state)
        {
            case State.Headers when isEmpty:
                Enter(_isChunked ? State.ChunkSize : _bodyBytes > 0 ? State.Body : State.Method);
                return;
            case State.Headers:
                ReadHeader(line);
                break;
            case State.ChunkSize:
                var size = line.IndexOf((byte)';') is var end && end >= 0 ? line[..end] : line;
                if (!long.TryParse(Encoding.ASCII.GetString(size).Trim(), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _bodyBytes) || _bodyBytes < 0)
                {
                    Enter(State.Passing);
                    return;
                }

                Enter(_bodyBytes == 0 ? State.Trailers : State.ChunkData);
                return;
            case State.ChunkEnd:
                Enter(isEmpty ? State.ChunkSize : State.Passing);
                return;
            case State.Trailers when isEmpty:
                Enter(State.Method);
                return;
        }

        _lineBytes = 0;
    }

    private void ReadHeader(ReadOnlySpan<byte> line)
    {
        var colon = line.IndexOf((byte)':');
        if (colon < 0)
        {
            return;
        }

        var value = line[(colon + 1)..].Trim(" \t"u8);
        if (Ascii.EqualsIgnoreCase(line[..colon], "content-length"u8))
        {
            if (!long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out _bodyBytes))
            {
                _state = State.Passing;
            }
        }
        else if (Ascii.EqualsIgnoreCase(line[..colon], "transfer-encoding"u8))
        {
            _isChunked = true;
        }
        else if (Ascii.EqualsIgnoreCase(line[..colon], "upgrade"u8))
        {
            _state = State.Passing;
        }
    }

    private bool LineIs(string text) => _lineBytes == text.Length && Ascii.Equals(_line.AsSpan(0, _lineBytes), text);

    private void Append(byte value)
    {
        if (_lineBytes < LineBytesMax)
        {
            _line[_lineBytes] = value;
        }

        _lineBytes = Math.Min(_lineBytes + 1, LineBytesMax + 1);
    }

    private void Enter(State state)
    {
        _state = state;
        _lineBytes = 0;
        _escapeBytes = 0;
        _escapeDigit = default;
    }
}
