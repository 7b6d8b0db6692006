using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Runtime.InteropServices;
using System.Text;

namespace KvStore.Transport;

/// <summary>
/// Reads what a connection receives, and replaces <c>%00</c> by <c>%FF</c> in the path of a request line (<see cref="NulMarks"/>).
/// It does not parse headers and bodies: it changes a line only where a request is known to begin, at the beginning of the
/// connection and where <see cref="NextLineFollows"/> says. No length changes. For one reader at a time.
/// </summary>
internal sealed class RequestLineReader(PipeReader inner) : PipeReader
{
    private ReadOnlySequence<byte> _current;

    // How many bytes have been consumed, and where the next request begins, when that is known.
    private long _position;
    private long? _lineAt = 0;
    private string? _markedTarget;

    /// <summary>Sets where the next request begins: this many bytes after what has been consumed.</summary>
    public void NextLineFollows(long bytes)
    {
        Debug.Assert(bytes >= 0, "A body has no negative length.");
        _lineAt = _position + bytes;
    }

    /// <summary>The changed target of the last line that was changed; null when none was changed since the last call.</summary>
    public string? TakeMarkedTarget()
    {
        var target = _markedTarget;
        _markedTarget = null;
        return target;
    }

    public override async ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) =>
        Inspect(await inner.ReadAsync(cancellationToken).ConfigureAwait(false));

    public override bool TryRead(out ReadResult result)
    {
        if (!inner.TryRead(out result))
        {
            return false;
        }

        Inspect(result);
        return true;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        var passed = _current.Slice(0, consumed);
        if (_lineAt >= _position && _lineAt < _position + passed.Length)
        {
            // The server consumed the beginning of the line before the line was whole. It skips empty lines before a request.
            _lineAt = IsLineEnds(passed.Slice(_lineAt.Value - _position)) ? _position + passed.Length : null;
        }

        Debug.Assert(_lineAt is null || _lineAt >= _position + passed.Length, "The next request does not begin before the bytes that are left.");
        _position += passed.Length;
        _current = default;
        inner.AdvanceTo(consumed, examined);
    }

    public override void CancelPendingRead() => inner.CancelPendingRead();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    public override ValueTask CompleteAsync(Exception? exception = null) => inner.CompleteAsync(exception);

    private static bool IsLineEnds(ReadOnlySequence<byte> bytes)
    {
        foreach (var memory in bytes)
        {
            if (memory.Span.ContainsAnyExcept((byte)'\r', (byte)'\n'))
            {
                return false;
            }
        }

        return true;
    }

    private ReadResult Inspect(in ReadResult result)
    {
        _current = result.Buffer;
        if (_lineAt == _position && !_current.IsEmpty)
        {
            var reader = new SequenceReader<byte>(_current);
            reader.AdvancePastAny((byte)'\r', (byte)'\n');
            var begin = reader.Position;
            if (reader.TryAdvanceTo((byte)'\n', advancePastDelimiter: false))
            {
                _lineAt = null;
                Mark(_current.Slice(begin, reader.Position));
            }
        }

        return result;
    }

    // A request line is the method, the target and the version, with a space between them.
    private void Mark(ReadOnlySequence<byte> line)
    {
        var reader = new SequenceReader<byte>(line);
        if (!reader.TryAdvanceTo((byte)' '))
        {
            return;
        }

        var target = line.Slice(reader.Position);
        if (target.PositionOf((byte)' ') is { } end)
        {
            target = target.Slice(0, end);
        }

        var path = target.PositionOf((byte)'?') is { } query ? target.Slice(0, query) : target;
        if (MarkPath(path))
        {
            _markedTarget = Encoding.Latin1.GetString(target);
        }
    }

    private static bool MarkPath(ReadOnlySequence<byte> path)
    {
        var hasChanged = false;
        var reader = new SequenceReader<byte>(path);
        while (reader.TryAdvanceTo((byte)'%'))
        {
            var first = reader.Position;
            if (!reader.TryRead(out var high) || !reader.TryRead(out var low))
            {
                break;
            }

            if (high == '0' && low == '0')
            {
                Write(path.Slice(first, 2), (byte)'F', (byte)'F');
                hasChanged = true;
            }
            else if ((high | 0x20) == 'f' && (low | 0x20) == 'f')
            {
                Write(path.Slice(first, 2), (byte)'F', (byte)'E');
                hasChanged = true;
            }
            else if (high == '%' || low == '%')
            {
                reader.Rewind(high == '%' ? 2 : 1);
            }
        }

        return hasChanged;
    }

    private static void Write(ReadOnlySequence<byte> digits, byte high, byte low)
    {
        Debug.Assert(digits.Length == 2, "An escape has two digits.");

        // The received memory belongs to the reader of the transport, and the server decodes paths in place in it as well.
        Span<byte> values = [high, low];
        foreach (var memory in digits)
        {
            values[..memory.Length].CopyTo(MemoryMarshal.AsMemory(memory).Span);
            values = values[memory.Length..];
        }
    }
}
