using System.Buffers;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// Reads records one after the other from a part of a file, through one buffer that grows to the longest record.
/// </summary>
/// <remarks>Not thread-safe; several may read one file.</remarks>
internal sealed class LogReader(IStorageFile file, uint seed, long start, long end) : IDisposable
{
    private const int BufferBytes = 1024 * 1024;

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent((int)Math.Clamp(end - start, LogFormat.RecordHeaderBytes, BufferBytes));
    private long _bufferOffset = start;
    private int _bufferLength;
    private int _position;
    private int _size;

    /// <summary>Where the record is that was read last, or that could not be read.</summary>
    public long Offset => _bufferOffset + _position;

    /// <summary>Where the next record begins.</summary>
    public long NextOffset => Offset + _size;

    /// <summary>The bytes at <see cref="Offset"/> that are at hand: the whole record if it was read, at least the header if there is so much.</summary>
    public ReadOnlyMemory<byte> Bytes => _buffer.AsMemory(_position, _bufferLength - _position);

    /// <summary>Reads the next record.</summary>
    /// <param name="record">A view on the buffer, good until the next call.</param>
    /// <param name="verifies">Whether the checksum must be right.</param>
    /// <returns>Whether there is one. If not, <see cref="Offset"/> is where it should be.</returns>
    public bool TryRead(out LogRecord record, bool verifies = true)
    {
        _position += _size;
        _size = 0;
        while (true)
        {
            var outcome = LogRecord.TryRead(Bytes.Span, seed, out record, verifies);
            if (outcome == RecordOutcome.Whole)
            {
                _size = record.Size;
                return true;
            }

            if (outcome == RecordOutcome.Wrong || !Fill())
            {
                return false;
            }
        }
    }

    /// <summary>
    /// Looks for the next record that is whole, at every place where one can begin, after one could not be read.
    /// </summary>
    /// <param name="within">How far to look.</param>
    /// <param name="record">The record found.</param>
    public bool TryResync(long within, out LogRecord record)
    {
        var limit = Math.Min(Offset + within, end);
        _size = 0;
        while (Offset + LogFormat.Alignment < limit)
        {
            _position += LogFormat.Alignment;
            if (_bufferLength - _position < LogFormat.RecordHeaderBytes && !Fill())
            {
                break;
            }

            // Most places cannot be the beginning of a record. Their header shows that without a checksum.
            if (LogRecord.IsPlausible(Bytes.Span, Offset) && TryRead(out record))
            {
                return true;
            }
        }

        record = default;
        return false;
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }

    /// <summary>Moves the unread bytes to the front and reads more.</summary>
    /// <returns>Whether there were more.</returns>
    private bool Fill()
    {
        var unread = _bufferLength - _position;
        var available = end - (_bufferOffset + _bufferLength);
        if (available <= 0)
        {
            return false;
        }

        var wanted = unread < LogFormat.RecordHeaderBytes ? LogFormat.RecordHeaderBytes : LogRecord.ClaimedSize(Bytes.Span);
        if (wanted > unread + available)
        {
            // It claims to go on behind the end: nothing that is read can make it whole.
            return false;
        }

        if (wanted > _buffer.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(wanted);
            _buffer.AsSpan(_position, unread).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = larger;
        }
        else
        {
            _buffer.AsSpan(_position, unread).CopyTo(_buffer);
        }

        _bufferOffset += _position;
        _position = 0;
        var room = (int)Math.Min(_buffer.Length - unread, available);
        var read = file.Read(_buffer.AsSpan(unread, room), _bufferOffset + unread);
        _bufferLength = unread + read;
        return read > 0;
    }
}
