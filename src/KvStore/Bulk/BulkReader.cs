using System.Buffers;
using System.Text;
using System.Text.Json;

namespace KvStore.Bulk;

/// <summary>
/// Reads a bulk file entry by entry. An entry is returned as soon as it is complete, so all entries before a break are read. Only one
/// entry and the rest of one buffer are in memory. For one caller at a time.
/// </summary>
/// <remarks>
/// An incomplete entry is parsed again only when twice as much of it has arrived. So a large entry is parsed a few times only, also
/// when it arrives in small pieces. Long strings are not kept in memory (<see cref="LongTextFilter"/>).
/// </remarks>
internal sealed class BulkReader(Stream stream) : IAsyncDisposable
{
    /// <summary>The longest entry, in bytes, long strings not counted.</summary>
    public const int EntryBytesMax = 4 * 1024 * 1024;

    private const int BufferBytesMin = 16 * 1024;

    private readonly LongTextFilter _filter = new(stream);
    private IReadOnlyList<string> _names = [];

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(BufferBytesMin);
    private int _start;
    private int _end;
    private bool _isStreamEnd;
    private bool _isBegun;
    private bool _isInArray;

    // Any depth: an entry that is nested too deeply is one bad entry, not a broken file.
    private JsonReaderState _state = new(new JsonReaderOptions { MaxDepth = int.MaxValue });

    /// <summary>How many entries have been read.</summary>
    public long Count { get; private set; }

    /// <summary>The long texts of the entry that was read last, until the next entry is read.</summary>
    public LongTextFilter Texts => _filter;

    /// <summary>Whether the entry that was read last has long texts.</summary>
    public bool HasTexts => _names.Count > 0;

    /// <summary>Reads the next entry.</summary>
    /// <returns>The JSON of the entry, which stays as it is until the next call, or null at the end of the file.</returns>
    /// <exception cref="JsonException">The file is not a JSON array, or breaks off, or an entry is too long.</exception>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadAsync(CancellationToken cancellationToken)
    {
        await _filter.ReleaseAsync(_names).ConfigureAwait(false);
        _names = [];
        while (true)
        {
            if (_isBegun && TryRead(out var entry))
            {
                _names = _filter.NamesIn(entry.Span);
                return entry;
            }

            if (_isStreamEnd)
            {
                return null;
            }

            await FillAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public ValueTask DisposeAsync()
    {
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
        _start = _end = 0;
        return _filter.DisposeAsync();
    }

    // False when the buffer has no further complete entry; at the end of the stream, when there is no further entry.
    private bool TryRead(out ReadOnlyMemory<byte> entry)
    {
        entry = default;
        var begin = _start;
        var reader = new Utf8JsonReader(_buffer.AsSpan(_start, _end - _start), _isStreamEnd, _state);
        if (!_isInArray)
        {
            if (!reader.Read())
            {
                return false;
            }

            if (reader.TokenType != JsonTokenType.StartArray)
            {
                throw new JsonException("The outermost value is not an array.");
            }

            _isInArray = true;
            Take(begin, in reader);
        }

        if (!reader.Read())
        {
            return false;
        }

        if (reader.TokenType == JsonTokenType.EndArray)
        {
            // Only white space may follow. The reader refuses anything else.
            Take(begin, in reader);
            _ = reader.Read();
            return false;
        }

        var entryStart = (int)reader.TokenStartIndex;
        if (!reader.TrySkip())
        {
            return false;
        }

        entry = _buffer.AsMemory(begin + entryStart, (int)reader.BytesConsumed - entryStart);
        Take(begin, in reader);
        Count++;
        return true;
    }

    private void Take(int begin, in Utf8JsonReader reader)
    {
        _start = begin + (int)reader.BytesConsumed;
        _state = reader.CurrentState;
    }

    private async ValueTask FillAsync(CancellationToken cancellationToken)
    {
        var held = _end - _start;
        if (held > EntryBytesMax)
        {
            throw new JsonException(Invariant($"The next entry is longer than {EntryBytesMax} bytes, its long texts not counted."));
        }

        var wanted = Math.Max(2 * held, Encoding.UTF8.Preamble.Length);
        MakeRoom(wanted);
        while (_end - _start < wanted && !_isStreamEnd)
        {
            var read = await _filter.ReadAsync(_buffer.AsMemory(_end), cancellationToken).ConfigureAwait(false);
            _end += read;
            _isStreamEnd = read == 0;
        }

        if (!_isBegun)
        {
            _isBegun = true;
            _start += _buffer.AsSpan(_start, _end - _start).StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length : 0;
        }
    }

    private void MakeRoom(int wanted)
    {
        if (_buffer.Length - _start >= wanted && _end < _buffer.Length)
        {
            return;
        }

        var held = _buffer.AsSpan(_start, _end - _start);
        var target = wanted <= _buffer.Length && held.Length < _buffer.Length ? _buffer : ArrayPool<byte>.Shared.Rent(Math.Max(wanted, BufferBytesMin));
        held.CopyTo(target);
        if (!ReferenceEquals(target, _buffer))
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = target;
        }

        _end -= _start;
        _start = 0;
    }
}
