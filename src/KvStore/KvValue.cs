using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace KvStore;

/// <summary>
/// What a get returns: the value, metadata and expiration of a key, or the fact that it does not exist.
/// </summary>
/// <remarks>
/// A view on one immutable record: nothing was copied, and the bytes stay as they are whatever happens to the key
/// afterwards, whether it is overwritten, deleted or expires, or the namespace is disposed. Keeping the view keeps a
/// segment of memory (up to 4 MiB) alive; copy what is to be kept for long. Safe to use from any thread.
/// <para>A large value of a namespace that persists is a view on a file (<see cref="IsLarge"/>): <see cref="OpenStream"/> reads
/// from there as it goes, <see cref="ReadBytesAsync"/> brings it into memory; the members that return it whole at once read
/// the file while the caller waits.</para>
/// </remarks>
public readonly struct KvValue
{
    private const string UnreferencedCode = "Reflects over T; use the overload that takes a JsonTypeInfo<T> where code is trimmed or compiled ahead of time.";

    private const int MetadataBytesShift = 32;
    private const int CacheStateShift = 48;

    // An array in which the metadata lies right before the value, so that one offset finds both; or a LargeValueView.
    private readonly object? _source;

    // Two words for all the rest, so that a read hands over three registers and not six fields.
    private readonly ulong _place;
    private readonly ulong _extent;

    internal KvValue(byte[] segment, int valueOffset, int valueBytes, int metadataBytes, uint deadlineSeconds)
        : this(segment, PlaceOf(valueOffset, metadataBytes), ExtentOf(valueBytes, deadlineSeconds))
    {
    }

    internal KvValue(LargeValueView view, int valueOffset, int valueBytes, int metadataBytes, uint deadlineSeconds)
        : this(view, PlaceOf(valueOffset, metadataBytes), ExtentOf(valueBytes, deadlineSeconds))
    {
    }

    /// <summary>An entry from its parts; of three defaults, one that does not exist.</summary>
    /// <param name="source">An array or a view, as above; or null.</param>
    /// <param name="place">What <see cref="PlaceOf"/> makes.</param>
    /// <param name="extent">What <see cref="ExtentOf"/> makes.</param>
    internal KvValue(object? source, ulong place, ulong extent)
    {
        _source = source;
        _place = place;
        _extent = extent;
    }

    private KvValue(in KvValue entry, CacheState cacheState)
        : this(entry._source, (entry._place & ~((ulong)byte.MaxValue << CacheStateShift)) | ((ulong)cacheState << CacheStateShift), entry._extent)
    {
    }

    private enum CacheState : byte
    {
        None,
        Hit,
        Miss,
        Expired,
    }

    /// <summary>Whether the key exists and has not expired.</summary>
    public bool Exists => _source is not null;

    /// <summary>Whether the value is not in memory but in a file of the namespace's persistence provider.</summary>
    public bool IsLarge => _source is LargeValueView;

    /// <summary>The metadata stored with the value; <see cref="KvMetadata.IsNull"/> when there is none.</summary>
    public KvMetadata Metadata => MetadataBytes == 0
        ? default
        : KvMetadata.FromStored(new ReadOnlyMemory<byte>(
            _source as byte[] ?? ((LargeValueView)_source!).Segment, ValueOffset - MetadataBytes, MetadataBytes));

    /// <summary>When the entry expires, in whole seconds; null when it doesn't, or doesn't exist.</summary>
    public DateTimeOffset? Expiration =>
        DeadlineSeconds == 0 ? null : DateTimeOffset.FromUnixTimeSeconds(DeadlineSeconds);

    /// <summary>
    /// <c>HIT</c>, <c>MISS</c> or <c>EXPIRED</c> where a region caches what it reads; otherwise null, as with a binding
    /// that has no cache before it.
    /// </summary>
    public string? CacheStatus => (CacheState)(byte)(_place >> CacheStateShift) switch
    {
        CacheState.Hit => "HIT",
        CacheState.Miss => "MISS",
        CacheState.Expired => "EXPIRED",
        _ => null,
    };

    /// <summary>The length of the value in bytes; 0 when the key does not exist.</summary>
    public int Length => (int)(_extent >> 32);

    private int ValueOffset => (int)_place;

    private int MetadataBytes => (ushort)(_place >> MetadataBytesShift);

    private uint DeadlineSeconds => (uint)_extent;

    /// <summary>Makes an entry from bytes, for an implementation of <see cref="IKvNamespace"/>. The bytes are copied.</summary>
    /// <param name="value">The value.</param>
    /// <param name="metadata">Its metadata, of at most 65,535 bytes.</param>
    /// <param name="expiration">When it expires, in whole seconds, or null when it doesn't.</param>
    /// <returns>An entry that exists.</returns>
    public static KvValue Create(ReadOnlySpan<byte> value, KvMetadata metadata = default, DateTimeOffset? expiration = null)
    {
        var json = metadata.Utf8Json.Span;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(json.Length, ushort.MaxValue, nameof(metadata));
        var bytes = new byte[json.Length + value.Length];
        json.CopyTo(bytes);
        value.CopyTo(bytes.AsSpan(json.Length));
        var deadline = expiration is { } at ? checked((uint)at.ToUnixTimeSeconds()) : 0;
        return new KvValue(bytes, json.Length, value.Length, json.Length, deadline);
    }

    /// <summary>The value as text: UTF-8, with U+FFFD in place of bytes that are not; null when the key does not exist.</summary>
    /// <returns>A new string.</returns>
    public string? GetText() => _source is null ? null : Encoding.UTF8.GetString(GetBytes().Span);

    /// <summary>The value read as JSON, with the web defaults of System.Text.Json (camel case).</summary>
    /// <typeparam name="T">The type to read.</typeparam>
    /// <param name="options">How to read; null for the web defaults.</param>
    /// <returns>The value; the default of <typeparamref name="T"/> when the key does not exist or holds JSON <c>null</c>.</returns>
    /// <exception cref="JsonException">The value is not JSON, or does not fit <typeparamref name="T"/>.</exception>
    [RequiresUnreferencedCode(UnreferencedCode)]
    [RequiresDynamicCode(UnreferencedCode)]
    public T? GetJson<T>(JsonSerializerOptions? options = null) =>
        _source is null ? default : JsonSerializer.Deserialize<T>(KvJson.Repair(GetBytes().Span), options ?? KvJson.Options);

    /// <summary>The value read as JSON by generated code.</summary>
    /// <typeparam name="T">The type to read.</typeparam>
    /// <param name="jsonTypeInfo">How to read it.</param>
    /// <returns>The value; the default of <typeparamref name="T"/> when the key does not exist or holds JSON <c>null</c>.</returns>
    /// <exception cref="JsonException">The value is not JSON, or does not fit <typeparamref name="T"/>.</exception>
    public T? GetJson<T>(JsonTypeInfo<T> jsonTypeInfo) =>
        _source is null ? default : JsonSerializer.Deserialize(KvJson.Repair(GetBytes().Span), jsonTypeInfo);

    /// <summary>The bytes of the value: a view that never changes, not a copy. Empty when the key does not exist.</summary>
    /// <returns>The bytes.</returns>
    public ReadOnlyMemory<byte> GetBytes() => _source is LargeValueView large
        ? large.ReadAll()
        // It is an array or null: the only other kind was ruled out.
        : new ReadOnlyMemory<byte>(Unsafe.As<byte[]>(_source), ValueOffset, Length);

    /// <summary>The bytes of the value, read without blocking where it is a large one; otherwise <see cref="GetBytes"/>.</summary>
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
    /// <returns>A new stream on the same bytes.</returns>
    public Stream OpenStream() => _source switch
    {
        null => new MemoryStream([], writable: false),
        LargeValueView large => large.Value.OpenStream(),
        _ => new MemoryStream((byte[])_source, ValueOffset, Length, writable: false, publiclyVisible: false),
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
        _ => throw new ArgumentException($"\"{cacheStatus}\" is not a cache status; it must be HIT, MISS, EXPIRED or null.", nameof(cacheStatus)),
    });

    /// <summary>Whether both are views on the same memory.</summary>
    internal bool IsSameAs(in KvValue other) => ReferenceEquals(_source, other._source) && _place == other._place;

    /// <summary>The parts, as the constructor takes them.</summary>
    internal object? Split(out ulong place, out ulong extent)
    {
        place = _place;
        extent = _extent;
        return _source;
    }

    /// <summary>Where a value and the metadata before it lie: the offset of the value, and above it the length of the metadata.</summary>
    internal static ulong PlaceOf(int valueOffset, int metadataBytes) =>
        (uint)valueOffset | ((ulong)(ushort)metadataBytes << MetadataBytesShift);

    /// <summary>How far a value goes in memory and time: its deadline, and above it its length.</summary>
    internal static ulong ExtentOf(int valueBytes, uint deadlineSeconds) => deadlineSeconds | ((ulong)(uint)valueBytes << 32);

    /// <summary>The same entry; its value without the UTF-8 byte order mark, if it begins with one.</summary>
    internal KvValue WithoutByteOrderMark() => GetBytes().Span is var bytes && bytes.StartsWith("\uFEFF"u8)
        ? new KvValue(bytes[3..].ToArray(), 0, Length - 3, 0, DeadlineSeconds)
        : this;

    /// <summary>The same value in memory, without metadata.</summary>
    internal async ValueTask<KvValue> LoadAsync(CancellationToken cancellationToken) => _source is LargeValueView large
        ? new KvValue(await large.ReadAllAsync(cancellationToken).ConfigureAwait(false), 0, Length, 0, DeadlineSeconds)
        : this;

    /// <summary>Lets go of the file of a large value. For whoever handed this to nobody else.</summary>
    internal void Release() => (_source as LargeValueView)?.Value.Dispose();
}
