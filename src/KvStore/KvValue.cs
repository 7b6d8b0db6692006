using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvStore.Json;
using KvStore.Records;
using KvStore.Rules;
using KvStore.Values;

namespace KvStore;

/// <summary>
/// What a get returns: the value, metadata and expiration of a key, or the fact that it does not exist.
/// </summary>
/// <remarks>
/// A view on one immutable record, not a copy. The bytes never change, also after the key is overwritten, deleted or expired, or the
/// namespace is disposed. The view keeps a segment of memory (up to 4 MiB) alive, so copy the bytes that you keep for long. Safe to
/// use from any thread.
/// <para>A large value of a namespace that persists is a view on a file (<see cref="IsLarge"/>): <see cref="OpenStream"/> reads the
/// file piece by piece, <see cref="ReadBytesAsync"/> reads it into memory, and the synchronous members block while they read all of
/// it. The file of a value that was replaced or deleted is kept until the view is disposed, or for 5 seconds after the read when
/// nobody disposes the view, and until every opened stream is disposed. Opening the value later throws <see cref="KvException"/>
/// (410). Metadata and expiration stay readable.</para>
/// <para>Disposing is optional, and does nothing for a value in memory. All copies of this structure are one view.</para>
/// </remarks>
public readonly struct KvValue : IDisposable
{
    private const string UnreferencedCode = "Reflects over T; use the overload that takes a JsonTypeInfo<T> where code is trimmed or compiled ahead of time.";

    private const int CacheStateShift = 32;
    private const ulong UnknownPosition = (ulong)CacheState.Unknown << CacheStateShift;

    // An array with a record in it; or a LargeValueView, whose array has the record.
    private readonly object? _source;

    // Where the record begins, and in the high half the status of a cache. A value is two machine words, so a read returns it in two
    // registers. The other fields are in the record, in the cache line in which the key was compared.
    private readonly ulong _position;

    /// <summary>A view on a record; without a source, an entry that does not exist.</summary>
    /// <param name="source">An array or a view, as above; or null.</param>
    /// <param name="recordOffset">Where the record begins.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal KvValue(object? source, int recordOffset)
    {
        _source = source;
        _position = (uint)recordOffset;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private KvValue(ulong position)
    {
        _source = null;
        _position = position;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private KvValue(in KvValue entry, CacheState cacheState)
    {
        _source = entry._source;
        _position = (uint)entry._position | ((ulong)cacheState << CacheStateShift);
    }

    /// <summary>The result of a probe that did not decide whether the key exists. Callers never see it.</summary>
    internal static KvValue Unknown
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => new(UnknownPosition);
    }

    /// <summary>Whether this is the result of a probe that did not decide, and not an entry.</summary>
    internal bool IsUnknown => _source is null && _position >= UnknownPosition;

    /// <summary>The hash of the key that was probed; 0 where it is not known.</summary>
    internal ulong UnknownHash => _position > UnknownPosition ? _position : 0;

    /// <summary>The result of a probe that did not decide, with the hash of the key, so that nobody hashes the key again.</summary>
    /// <remarks>One hash in 2^29 does not fit, and is not passed on.</remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static KvValue UnknownOf(ulong hash) => new(Math.Max(hash, UnknownPosition));

    private enum CacheState : byte
    {
        None,
        Hit,
        Miss,
        Expired,
        Unknown,
    }

    /// <summary>Whether the key exists and has not expired.</summary>
    public bool Exists => _source is not null;

    /// <summary>Whether the value is not in memory but in a file of the namespace's persistence provider.</summary>
    public bool IsLarge => _source is LargeValueView;

    /// <summary>
    /// The revision of the entry: of two versions of a key the newer has the higher one, also after a restart. 0 when the key does
    /// not exist, and where the source knows no revisions.
    /// </summary>
    public long Revision => _source is null ? 0 : RecordLayout.Read<long>(in StartIn(Segment), RecordLayout.RevisionOffset) & RecordLayout.RevisionMask;

    /// <summary>The metadata stored with the value; <see cref="KvMetadata.IsNull"/> when there is none.</summary>
    public KvMetadata Metadata => _source is null ? default : KvMetadata.OfRecord(Segment, Offset);

    /// <summary>When the entry expires, in whole seconds; null when it doesn't, or doesn't exist.</summary>
    public DateTimeOffset? Expiration => Deadline.Expiration;

    /// <summary>
    /// <c>HIT</c>, <c>MISS</c> or <c>EXPIRED</c> where a region caches what it reads; otherwise null, as with a binding
    /// that has no cache before it.
    /// </summary>
    public string? CacheStatus => (CacheState)(byte)(_position >> CacheStateShift) switch
    {
        CacheState.Hit => "HIT",
        CacheState.Miss => "MISS",
        CacheState.Expired => "EXPIRED",
        _ => null,
    };

    /// <summary>The length of the value in bytes; 0 when the key does not exist.</summary>
    public int Length => _source switch
    {
        null => 0,
        LargeValueView large => checked((int)large.Length),
        _ => RecordLayout.Read<int>(in StartIn(Unsafe.As<byte[]>(_source)), RecordLayout.ValueBytesOffset),
    };

    // The array with the record of an entry that exists.
    private byte[] Segment => _source is LargeValueView large ? large.Segment : Unsafe.As<byte[]>(_source!);

    private int Offset => (int)_position;

    /// <summary>The key of the record of an entry that exists; empty for a value that was made without a key.</summary>
    internal ReadOnlySpan<byte> RecordKey => Segment.AsSpan(
        Offset + RecordLayout.HeaderBytes, RecordLayout.Read<ushort>(in StartIn(Segment), RecordLayout.KeyBytesOffset) & RecordLayout.KeyBytesMask);

    /// <summary>The key of the record of an entry that exists, as a new string.</summary>
    internal string GetRecordKey() => Utf8Text.Decode(RecordKey);

    private int MetadataBytes => _source is null ? 0 : RecordLayout.Read<ushort>(in StartIn(Segment), RecordLayout.MetadataBytesOffset);

    private int MetadataOffset => Offset + RecordLayout.HeaderBytes
        + (RecordLayout.Read<ushort>(in StartIn(Segment), RecordLayout.KeyBytesOffset) & RecordLayout.KeyBytesMask);

    /// <summary>When the entry is gone.</summary>
    internal Deadline Deadline => _source is null ? default : RecordLayout.ReadDeadline(in StartIn(Segment));

    /// <summary>Makes an entry from bytes, for an implementation of <see cref="IKvNamespace"/>. The bytes are copied.</summary>
    /// <param name="value">The value.</param>
    /// <param name="metadata">Its metadata, of at most 65,535 bytes.</param>
    /// <param name="expiration">When it expires, in whole seconds, or null when it doesn't; 2106-02-07T06:28:15Z at the latest.</param>
    /// <returns>An entry that exists.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The metadata is too long, or the expiration not after 1970 or too late.</exception>
    public static KvValue Create(ReadOnlySpan<byte> value, KvMetadata metadata = default, DateTimeOffset? expiration = null)
    {
        var json = metadata.Utf8Json.Span;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(json.Length, ushort.MaxValue, nameof(metadata));
        var deadline = ExpirationRules.DeadlineOf(expiration, nameof(expiration));
        var record = NewRecord(json.Length, value.Length, deadline, out var valueOffset);
        json.CopyTo(record.AsSpan(RecordLayout.HeaderBytes));
        value.CopyTo(record.AsSpan(valueOffset));
        return new KvValue(record, recordOffset: 0);
    }

    /// <summary>The value as text: UTF-8, with U+FFFD in place of bytes that are not; null when the key does not exist.</summary>
    /// <returns>A new string.</returns>
    public string? GetText() => _source is null ? null : Utf8Text.Decode(GetBytes().Span);

    /// <summary>The value read as JSON, with the web defaults of System.Text.Json (camel case).</summary>
    /// <typeparam name="T">The type to read.</typeparam>
    /// <param name="options">How to read; null for the web defaults. The names of properties may be written with another naming policy.</param>
    /// <returns>The value; the default of <typeparamref name="T"/> when the key does not exist or holds JSON <c>null</c>.</returns>
    /// <exception cref="JsonException">The value is not JSON, or does not fit <typeparamref name="T"/>. The message says where, and does not quote the value.</exception>
    [RequiresUnreferencedCode(UnreferencedCode)]
    [RequiresDynamicCode(UnreferencedCode)]
    public T? GetJson<T>(JsonSerializerOptions? options = null) =>
        _source is null ? default : KvJson.Read<T>(KvJson.Repair(GetBytes().Span), options ?? KvJson.Options);

    /// <summary>The value read as JSON by generated code.</summary>
    /// <typeparam name="T">The type to read.</typeparam>
    /// <param name="jsonTypeInfo">How to read it. The names of properties may be written with another naming policy.</param>
    /// <returns>The value; the default of <typeparamref name="T"/> when the key does not exist or holds JSON <c>null</c>.</returns>
    /// <exception cref="JsonException">The value is not JSON, or does not fit <typeparamref name="T"/>. The message says where, and does not quote the value.</exception>
    public T? GetJson<T>(JsonTypeInfo<T> jsonTypeInfo) =>
        _source is null ? default : KvJson.Read(KvJson.Repair(GetBytes().Span), jsonTypeInfo);

    /// <summary>The bytes of the value: a view that never changes, not a copy. Empty when the key does not exist.</summary>
    /// <returns>The bytes.</returns>
    public ReadOnlyMemory<byte> GetBytes()
    {
        if (_source is null)
        {
            return default;
        }

        if (_source is LargeValueView large)
        {
            return large.ReadAll();
        }

        return GetBytesInMemory();
    }

    /// <summary>The bytes of the value of an entry that exists and is known not to be a large one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal ReadOnlyMemory<byte> GetBytesInMemory()
    {
        // It is an array: the only other kind was ruled out.
        var segment = Unsafe.As<byte[]>(_source!);
        ref readonly var start = ref StartIn(segment);
        var valueOffset = Offset + RecordLayout.HeaderBytes
            + (RecordLayout.Read<ushort>(in start, RecordLayout.KeyBytesOffset) & RecordLayout.KeyBytesMask)
            + RecordLayout.Read<ushort>(in start, RecordLayout.MetadataBytesOffset);
        return new ReadOnlyMemory<byte>(segment, valueOffset, RecordLayout.Read<int>(in start, RecordLayout.ValueBytesOffset));
    }

    /// <summary>The bytes of the value. A large value is read without blocking; for other values see <see cref="GetBytes"/>.</summary>
    /// <param name="cancellationToken">Ends the reading of a large value.</param>
    /// <returns>The bytes.</returns>
    /// <exception cref="KvDamagedFileException">The file of a large value does not hold what was written.</exception>
    public ValueTask<ReadOnlyMemory<byte>> ReadBytesAsync(CancellationToken cancellationToken = default)
    {
        return _source is LargeValueView large ? Read(large, cancellationToken) : new(GetBytes());

        static async ValueTask<ReadOnlyMemory<byte>> Read(LargeValueView large, CancellationToken cancellationToken) =>
            await large.ReadAllAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>A stream over the value, which cannot be written. Empty when the key does not exist.</summary>
    /// <returns>
    /// A new stream on the same bytes, which the caller disposes. It stays readable after the key is overwritten, deleted or expired,
    /// and after this value is disposed. The file of a large value is kept until the stream is disposed.
    /// </returns>
    /// <exception cref="KvException">A large value that was replaced was read more than 5 seconds ago (410).</exception>
    /// <exception cref="ObjectDisposedException">It is a large value, and this was disposed.</exception>
    public Stream OpenStream() => _source switch
    {
        null => new MemoryStream([], writable: false),
        LargeValueView large => large.OpenStream(),
        _ => new MemoryStream((byte[])_source, MetadataOffset + MetadataBytes, Length, writable: false, publiclyVisible: false),
    };

    /// <summary>The same entry with the status <c>HIT</c>, <c>MISS</c> or <c>EXPIRED</c>.</summary>
    /// <param name="cacheStatus">The status, or null for none.</param>
    /// <returns>The entry.</returns>
    /// <exception cref="ArgumentException">The status is none of these.</exception>
    public KvValue WithCacheStatus(string? cacheStatus) => new(this, cacheStatus switch
    {
        null => CacheState.None,
        "HIT" => CacheState.Hit,
        "MISS" => CacheState.Miss,
        "EXPIRED" => CacheState.Expired,
        _ => throw new ArgumentException($"{VisibleKey.Quote(cacheStatus)} is not a cache status; it must be HIT, MISS, EXPIRED or null.", nameof(cacheStatus)),
    });

    /// <summary>The entry with a value that does not begin with a UTF-8 byte order mark.</summary>
    internal KvValue WithoutByteOrderMark() => GetBytes().Span is var bytes && bytes.StartsWith("\uFEFF"u8)
        ? Create(bytes[3..], metadata: default, Expiration)
        : this;

    /// <summary>The value in memory, without metadata.</summary>
    internal async ValueTask<KvValue> LoadAsync(CancellationToken cancellationToken)
    {
        if (_source is not LargeValueView large)
        {
            return this;
        }

        var record = NewRecord(metadataBytes: 0, Length, Deadline, out var valueOffset);
        await large.ReadAllAsync(record.AsMemory(valueOffset), cancellationToken).ConfigureAwait(false);
        return new KvValue(record, recordOffset: 0);
    }

    /// <summary>
    /// Ends the lease on the file of a large value, which cannot be read through this value any more. Opened streams stay readable.
    /// Does nothing for a value in memory. May be called more than once.
    /// </summary>
    public void Dispose() => (_source as LargeValueView)?.Dispose();

    /// <summary>The same as <see cref="Dispose"/>.</summary>
    internal void Release() => Dispose();

    /// <summary>
    /// Ends the lease on the file of a large value, which can still be opened as long as its key has this value. Does nothing for a value
    /// in memory.
    /// </summary>
    internal void EndLease() => (_source as LargeValueView)?.EndLease();

    // A record by itself, without a key.
    private static byte[] NewRecord(int metadataBytes, int valueBytes, Deadline deadline, out int valueOffset)
    {
        valueOffset = RecordLayout.HeaderBytes + metadataBytes;
        var record = new byte[valueOffset + valueBytes];
        RecordLayout.WriteHeader(ref MemoryMarshal.GetArrayDataReference(record), keyBytes: 0, metadataBytes, valueBytes, deadline);
        return record;
    }

    // In bounds: an entry is only made from an array with a record, and the offset of that record.
    private ref readonly byte StartIn(byte[] segment)
    {
        Debug.Assert((uint)Offset + RecordLayout.HeaderBytes <= segment.Length, "A record begins at the offset.");
        return ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(segment), (nuint)(uint)Offset);
    }
}
