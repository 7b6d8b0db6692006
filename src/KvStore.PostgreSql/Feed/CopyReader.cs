using System.Buffers.Binary;
using System.Diagnostics;

namespace KvStore.PostgreSql.Feed;

/// <summary>Reads the rows of <c>COPY … TO STDOUT (FORMAT BINARY)</c> without an allocation for each column.</summary>
/// <remarks>
/// <para>The driver reads such an answer column by column, each with an asynchronous call: that took as long as the rest of an opening. Here the driver only
/// passes on the bytes.</para>
/// <para>Nothing that the server sends is trusted: each length is checked before it is used, and memory is taken only for bytes that have
/// arrived. Not thread-safe.</para>
/// </remarks>
/// <param name="stream">The answer of the server, which is not disposed.</param>
/// <param name="columns">How many columns each row has.</param>
internal sealed class CopyReader(Stream stream, int columns)
{
    private const int BufferBytes = 64 * 1024;
    private const int HeaderBytes = 19;
    private const int FlagsOffset = 11;
    private const int ExtensionOffset = 15;

    // The flags that a reader must know. The only one there ever was says that rows begin with an object identifier.
    private const uint CriticalFlags = 0xFFFF_0000;

    // PostgreSQL allocates no more for a field.
    private const int FieldBytesMax = 0x3FFF_FFFF;
    private const int IsNullLength = -1;
    private const short EndMark = -1;

    private readonly int[] _starts = new int[columns];
    private readonly int[] _lengths = new int[columns];
    private byte[] _buffer = new byte[BufferBytes];

    // What has arrived and is not read yet.
    private int _start;
    private int _end;
    private bool _hasHeader;
    private bool _isAtEnd;

    private enum Found
    {
        Nothing,
        Row,
        End,
    }

    private static ReadOnlySpan<byte> Signature => [(byte)'P', (byte)'G', (byte)'C', (byte)'O', (byte)'P', (byte)'Y', (byte)'\n', 0xFF, (byte)'\r', (byte)'\n', 0];

    private ReadOnlySpan<byte> Unread => _buffer.AsSpan(_start, _end - _start);

    /// <summary>Goes to the next row, and forgets the last one.</summary>
    /// <returns>False after the last row.</returns>
    /// <exception cref="KvPersistenceException">The answer is damaged.</exception>
    public ValueTask<bool> ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            if (Find() == Found.Row)
            {
                return new(true);
            }

            var read = stream.ReadAsync(Room(), cancellationToken);
            if (!read.IsCompletedSuccessfully)
            {
                return ReadAsync(read, cancellationToken);
            }

            if (!Take(read.Result))
            {
                return new(false);
            }
        }
    }

    /// <summary>Whether a column of the row is null.</summary>
    public bool IsNull(int column) => _lengths[column] == IsNullLength;

    /// <summary>The bytes of a column of the row, valid until the next row is read.</summary>
    public ReadOnlyMemory<byte> Bytes(int column) =>
        _lengths[column] is var length && length != IsNullLength ? _buffer.AsMemory(_starts[column], length) : throw Damaged(Invariant($"column {column + 1} is null"));

    /// <summary>A <c>bigint</c> column of the row.</summary>
    public long Int64(int column) => BinaryPrimitives.ReadInt64BigEndian(Fixed(column, sizeof(long)));

    /// <summary>A <c>bigint</c> column of the row that may be null.</summary>
    public long? NullableInt64(int column) => IsNull(column) ? null : Int64(column);

    /// <summary>A <c>smallint</c> column of the row.</summary>
    public short Int16(int column) => BinaryPrimitives.ReadInt16BigEndian(Fixed(column, sizeof(short)));

    private static KvPersistenceException Damaged(string what) => new($"The answer of PostgreSQL to COPY is damaged: {what}.");

    private ReadOnlySpan<byte> Fixed(int column, int bytes) => _lengths[column] == bytes
        ? _buffer.AsSpan(_starts[column], bytes)
        : throw Damaged(IsNull(column)
            ? Invariant($"column {column + 1} is null")
            : Invariant($"column {column + 1} has {_lengths[column]} bytes instead of {bytes}"));

    // A method of its own, because the other one is not asynchronous for most rows.
    private async ValueTask<bool> ReadAsync(ValueTask<int> read, CancellationToken cancellationToken)
    {
        while (Take(await read.ConfigureAwait(false)))
        {
            if (Find() == Found.Row)
            {
                return true;
            }

            read = stream.ReadAsync(Room(), cancellationToken);
        }

        return false;
    }

    // Returns whether there may be another row.
    private bool Take(int bytes)
    {
        Debug.Assert(bytes >= 0 && bytes <= _buffer.Length - _end, "A stream fills at most the room that it is given.");
        _end += bytes;
        return bytes > 0 || (_isAtEnd ? false : throw Damaged(_start == _end ? "it ends without an end mark" : "it ends in the middle of a row"));
    }

    // What is not read moves to the beginning when the end is reached. The buffer grows only when it is full of one row.
    private Memory<byte> Room()
    {
        if (_start == _end)
        {
            _start = _end = 0;
        }
        else if (_end == _buffer.Length)
        {
            var unread = Unread;
            if (_start == 0)
            {
                if (_buffer.Length == Array.MaxLength)
                {
                    throw Damaged(Invariant($"a row has more than {Array.MaxLength} bytes"));
                }

                _buffer = new byte[Math.Min(_buffer.Length * 2L, Array.MaxLength)];
            }

            unread.CopyTo(_buffer);
            (_start, _end) = (0, unread.Length);
        }

        return _buffer.AsMemory(_end);
    }

    private Found Find()
    {
        if (!_hasHeader && !TryReadHeader())
        {
            return Found.Nothing;
        }

        var unread = Unread;
        if (_isAtEnd)
        {
            return unread.IsEmpty ? Found.End : throw Damaged("it goes on after its end mark");
        }

        if (unread.Length < sizeof(short))
        {
            return Found.Nothing;
        }

        var count = BinaryPrimitives.ReadInt16BigEndian(unread);
        if (count == EndMark)
        {
            _isAtEnd = true;
            _start += sizeof(short);
            return Find();
        }

        return count != columns ? throw Damaged(Invariant($"a row has {count} columns instead of {columns}")) : FindColumns(unread);
    }

    private Found FindColumns(ReadOnlySpan<byte> unread)
    {
        var position = sizeof(short);
        for (var column = 0; column < columns; column++)
        {
            if (unread.Length - position < sizeof(int))
            {
                return Found.Nothing;
            }

            var length = BinaryPrimitives.ReadInt32BigEndian(unread[position..]);
            if (length is < IsNullLength or > FieldBytesMax)
            {
                throw Damaged(Invariant($"column {column + 1} has a length of {length} bytes"));
            }

            position += sizeof(int);
            _starts[column] = _start + position;
            _lengths[column] = length;
            var bytes = Math.Max(0, length);
            if (unread.Length - position < bytes)
            {
                return Found.Nothing;
            }

            position += bytes;
        }

        _start += position;
        return Found.Row;
    }

    private bool TryReadHeader()
    {
        var unread = Unread;
        if (!Signature.StartsWith(unread[..Math.Min(unread.Length, Signature.Length)]))
        {
            throw Damaged("it does not begin with the signature of the binary format");
        }

        if (unread.Length < HeaderBytes)
        {
            return false;
        }

        var flags = BinaryPrimitives.ReadUInt32BigEndian(unread[FlagsOffset..]);
        var extension = BinaryPrimitives.ReadInt32BigEndian(unread[ExtensionOffset..]);
        if ((flags & CriticalFlags) != 0 || extension is < 0 or > FieldBytesMax)
        {
            throw Damaged(Invariant($"its header has the flags {flags:X8} and an extension of {extension} bytes"));
        }

        if (unread.Length - HeaderBytes < extension)
        {
            return false;
        }

        _start += HeaderBytes + extension;
        return _hasHeader = true;
    }
}
