namespace KvStore;

/// <summary>An entry to write: see <see cref="IKvExtendedNamespace.PutManyAsync"/>.</summary>
/// <param name="Key">The key.</param>
/// <param name="Content">The value.</param>
/// <param name="Options">Expiration and metadata; null for neither.</param>
public readonly record struct KvEntry(string Key, KvContent Content, KvPutOptions? Options = null);

/// <summary>An entry that a scan shows: see <see cref="IKvExtendedNamespace.ScanAsync"/>.</summary>
/// <remarks>
/// The key of an entry that a scan shows becomes a string where it is asked for, because many scans need the values alone. Keep the string
/// rather than ask twice. Safe to use from any thread.
/// </remarks>
/// <param name="Key">The key.</param>
/// <param name="Value">Its value, metadata and expiration: a view on memory that never changes.</param>
public readonly record struct KvScanEntry(string Key, KvValue Value)
{
    // Null where the record of the value has the key.
    private readonly string? _key = Key;
    private readonly KvValue _value = Value;

    /// <summary>The entry of a record of a namespace.</summary>
    internal KvScanEntry(in KvValue value)
        : this(null!, value)
    {
    }

    /// <summary>The key.</summary>
    public string Key
    {
        get => _key ?? (_value.Exists ? _value.GetRecordKey() : null!);
        init => _key = value;
    }

    /// <summary>Its value, metadata and expiration: a view on memory that never changes.</summary>
    public KvValue Value
    {
        get => _value;
        init
        {
            _key = Key;
            _value = value;
        }
    }

    /// <inheritdoc/>
    public bool Equals(KvScanEntry other) => Key == other.Key && EqualityComparer<KvValue>.Default.Equals(_value, other._value);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Key, _value);
}
