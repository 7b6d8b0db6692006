using System.ComponentModel;
using System.Text.Json;
using KvStore.Reads;
using KvStore.Rules;

namespace KvStore;

/// <summary>What the entries of one <see cref="KvKeyAttribute"/> have in common. Used by generated code.</summary>
/// <typeparam name="TValue">The type of the values.</typeparam>
/// <typeparam name="TMetadata">The type of the metadata.</typeparam>
/// <param name="value">How values are written and read.</param>
/// <param name="metadata">How metadata is written and read.</param>
/// <param name="ttlSeconds">How long an entry lives after a put; 0 until it is deleted.</param>
[EditorBrowsable(EditorBrowsableState.Never)]
public sealed class KvTypedShape<TValue, TMetadata>(KvTypedFormat<TValue> value, KvTypedFormat<TMetadata> metadata, int ttlSeconds)
{
    /// <summary>How values are written and read.</summary>
    internal KvTypedFormat<TValue> Value { get; } = value;

    /// <summary>The options of a put.</summary>
    internal KvPutOptions Options(TMetadata stored) => _options with { Metadata = metadata.WriteMetadata(stored) };

    /// <summary>The options of a put without metadata.</summary>
    internal KvPutOptions OptionsWithoutMetadata => _options;

    /// <summary>Reads metadata; the default where there is none.</summary>
    internal TMetadata? ReadMetadata(in KvMetadata stored, string operation, IKvNamespace kv, string key)
    {
        try
        {
            return stored.IsNull ? default : metadata.ReadMetadata(stored);
        }
        catch (JsonException e)
        {
            throw NamedEntry.WithNames(e, operation, kv.Name, key);
        }
    }

    /// <summary>Reads an entry that a namespace returned. A large value is brought into memory, and its file is let go.</summary>
    internal async ValueTask<KvTypedValue<TValue, TMetadata>> ReadAsync(IKvNamespace kv, string key, KvValue entry, CancellationToken cancellationToken)
    {
        if (!entry.Exists)
        {
            return default;
        }

        var value = entry;
        if (entry.IsLarge)
        {
            try
            {
                value = await entry.LoadAsync(cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                kv.DisposeIfOwned(entry);
            }
        }

        return new KvTypedValue<TValue, TMetadata>(true, ReadValue(kv, key, value), ReadMetadata(entry.Metadata, "GET", kv, key), entry.Expiration);
    }

    private TValue? ReadValue(IKvNamespace kv, string key, in KvValue value)
    {
        try
        {
            return Value.Read(value);
        }
        catch (JsonException e)
        {
            throw NamedEntry.WithNames(e, "GET", kv.Name, key);
        }
    }

    private readonly KvPutOptions _options = new() { ExpirationTtl = ttlSeconds == 0 ? null : TimeSpan.FromSeconds(ttlSeconds) };
}
