using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>How far a log file has its space on the disk, ahead of its records.</summary>
/// <remarks>
/// <para><b>Zeros</b> (with immediate durability). A flush that changes nothing but bytes takes two thirds of the time of one that also has
/// to note a new length and new blocks. So zeros are written ahead, in steps that double.</para>
/// <para><b>Reservation</b> (in the relaxed modes). Mutations are acknowledged before they are written, so their space is reserved before.
/// The length of the file does not change, and the format does not either.</para>
/// <para>Not thread-safe: it belongs to the writer of the log.</para>
/// </remarks>
/// <param name="shape">How the file gets its space.</param>
/// <param name="length">How long the file is.</param>
internal sealed class LogSpace(LogShape shape, long length)
{
    private const int AheadBytesMin = 1024 * 1024;
    private const int AheadBytesMax = 8 * 1024 * 1024;
    private const int ZeroBytes = 256 * 1024;
    private const int ReserveBytesMax = 64 * 1024;
    private const int ReserveDivisor = 16;
    private const int ReservedMin = 512;
    private const int ReservedDivisor = 64;

    private static readonly byte[] s_zeros = new byte[ZeroBytes];
    private bool _isUnsupported;

    // What a recycled file has is reserved again, which costs nothing: some file systems need new blocks to write over old ones.
    private long _through = shape.WritesZeros ? length : 0;

    /// <summary>Up to here the file has its space, where that is known.</summary>
    public long Through => _through;

    /// <summary>Whether space is reserved, and the file system can do that.</summary>
    public bool IsReserved => !shape.WritesZeros && !_isUnsupported;

    /// <summary>
    /// What a file needs behind its last record: the end record, and some space that no record gets. It is released when the file is
    /// closed, so that a full disk has space for the last manifest.
    /// </summary>
    public int BehindBytes { get; } = LogFormat.EndBytes + shape.ClosingBytes;

    /// <summary>The space in a log file of a length that is kept for deletes.</summary>
    public static int ReserveBytes(int fileBytes) => Math.Min(fileBytes / ReserveDivisor, ReserveBytesMax);

    /// <summary>Makes sure that the file has its space up to a place.</summary>
    /// <exception cref="IOException">There is none. Nothing has changed.</exception>
    public void Require(IStorageFile file, long end, long needed)
    {
        if (shape.WritesZeros)
        {
            WriteZeros(file, end, needed);
        }
        else if (needed > _through && !_isUnsupported)
        {
            Reserve(file, needed - _through);
        }
    }

    /// <summary>Reserves space for records that will come, as far as there is any.</summary>
    public void ReserveAhead(IStorageFile file, long end)
    {
        var fileBytes = shape.FileBytes;
        if (!IsReserved || end >= fileBytes)
        {
            // Behind its usual length a file has only the records that were acknowledged before it got there.
            return;
        }

        var ahead = Math.Clamp(end, Math.Min(AheadBytesMin, fileBytes), Math.Min(AheadBytesMax, fileBytes));
        var behind = end + BehindBytes + ReserveBytes(fileBytes);
        if (_through - behind < ahead / 2)
        {
            TryReserve(file, behind + ahead);
        }
    }

    /// <summary>The file was cut off. What was reserved behind the place is reserved again, if nobody else has taken it.</summary>
    public void CutOff(IStorageFile file, long end)
    {
        var before = _through;
        _through = Math.Min(_through, end);
        if (IsReserved)
        {
            TryReserve(file, before);
        }
    }

    /// <summary>What was reserved behind the end was released.</summary>
    public void Released(long end) => _through = Math.Min(_through, end);

    private void TryReserve(IStorageFile file, long to)
    {
        // A quarter of it, and so on, where there is not enough. Few attempts: each may cost a full disk much time.
        var missing = to - _through;
        for (var length = missing; length >= Math.Max(ReservedMin, missing / ReservedDivisor) && !_isUnsupported; length /= 4)
        {
            try
            {
                Reserve(file, length);
                return;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Nobody needs it yet. Who needs it and does not get it, fails.
            }
        }
    }

    private void Reserve(IStorageFile file, long length)
    {
        _isUnsupported = !file.TryReserve(_through, length);
        _through += _isUnsupported ? 0 : length;
    }

    private void WriteZeros(IStorageFile file, long end, long needed)
    {
        if (needed <= _through)
        {
            return;
        }

        // The last record of a file may reach behind its usual length, and needs as much space behind it as every other.
        var most = shape.FileBytes + ReserveBytes(shape.FileBytes) + shape.ClosingBytes;
        var step = Math.Clamp(_through, AheadBytesMin, AheadBytesMax);
        var to = Math.Max(Math.Min(_through + step, most), needed);
        for (_through = Math.Max(_through, end); _through < to;)
        {
            var length = (int)Math.Min(ZeroBytes, to - _through);
            file.Write(s_zeros.AsSpan(0, length), _through);
            _through += length;
        }
    }
}

/// <summary>How a log file gets its space.</summary>
/// <param name="FileBytes">The length at which it is followed by the next.</param>
/// <param name="WritesZeros">Whether zeros are written ahead of the records, so that a flush changes bytes only; otherwise space is reserved.</param>
/// <param name="ClosingBytes">The space that is kept for the manifest that is written when the file is closed.</param>
internal readonly record struct LogShape(int FileBytes, bool WritesZeros, int ClosingBytes = 0);
