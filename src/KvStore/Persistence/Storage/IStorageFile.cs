namespace KvStore.Persistence.Storage;

/// <summary>An open file.</summary>
/// <remarks>
/// <para>What a power cut leaves of writes and lengths that no <see cref="Flush"/> has followed: of each 512 bytes, the old
/// or the new ones, each of them by itself and in no order; a length from before or after. What was flushed stays.</para>
/// <para>Thread safety: reads from any thread; one writer at a time.</para>
/// </remarks>
internal interface IStorageFile : IDisposable
{
    /// <summary>The length in bytes.</summary>
    long Length { get; }

    /// <summary>Which file it is, whatever its name; null where the system does not say.</summary>
    FileIdentity? Identity => null;

    /// <summary>Reads what is there, up to the length of the buffer.</summary>
    /// <returns>The bytes read; fewer than asked for only at the end of the file.</returns>
    int Read(Span<byte> buffer, long offset);

    /// <summary>Reads as <see cref="Read"/> does, without holding a thread while the disk works.</summary>
    ValueTask<int> ReadAsync(Memory<byte> buffer, long offset, CancellationToken cancellationToken);

    /// <summary>Writes all the bytes; the file grows as needed, and what lies between its end and the offset reads as zeros.</summary>
    void Write(ReadOnlySpan<byte> bytes, long offset);

    /// <summary>Cuts the file off, or makes it longer with bytes that read as zeros.</summary>
    void SetLength(long length);

    /// <summary>
    /// Reserves space on the disk for a part of the file, so that writing there does not fail for lack of space. The length and the
    /// content stay as they are. <see cref="SetLength"/> releases what is reserved behind the new length.
    /// </summary>
    /// <returns>False when the file system cannot reserve.</returns>
    /// <exception cref="IOException">There is no space. A part of it may be reserved.</exception>
    bool TryReserve(long offset, long length) => false;

    /// <summary>
    /// When it returns, everything written before the call and the length survive a power cut. When it throws, nothing is
    /// known about any of it, now or later: a second call would report success for data that is gone.
    /// </summary>
    void Flush();
}
