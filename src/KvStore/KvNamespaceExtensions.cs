using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvStore.Json;
using KvStore.Memory;
using KvStore.Reads;
using KvStore.Values;

namespace KvStore;

/// <summary>
/// Text, JSON, bytes and streams on top of the five operations of <see cref="IKvNamespace"/>. Limits, exceptions and thread
/// safety are those of the operation underneath.
/// </summary>
public static class KvNamespaceExtensions
{
    private const string UnreferencedCode = "Reflects over T; use the overload that takes a JsonTypeInfo<T> where code is trimmed or compiled ahead of time.";

    /// <summary>Reads a value as text: UTF-8, with U+FFFD in place of bytes that are not. Null when the key does not exist.</summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="options">How to read; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the read where it has to wait.</param>
    /// <returns>The text or null.</returns>
    public static ValueTask<string?> GetTextAsync(
        this IKvNamespace kv, string key, KvGetOptions? options = null, CancellationToken cancellationToken = default)
    {
        // A namespace in this process has a cache of decoded text, so that a hot key allocates nothing.
        return kv is KvNamespace local
            ? local.Texts.GetAsync(key, options, cancellationToken)
            : GetTextElsewhereAsync(kv, key, options, cancellationToken);
    }

    /// <summary>Reads a value as JSON, with the web defaults of System.Text.Json (camel case).</summary>
    /// <typeparam name="T">The type to read.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="options">How to read; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the read where it has to wait.</param>
    /// <returns>The value; the default of <typeparamref name="T"/> when the key does not exist or holds JSON <c>null</c>.</returns>
    /// <exception cref="JsonException">The value is not JSON, or does not fit <typeparamref name="T"/>.</exception>
    /// <remarks>
    /// Where nobody can change a <typeparamref name="T"/>, because all that it holds can only be set when it is made (a record of
    /// numbers and strings) or because it has an <see cref="System.ComponentModel.ImmutableObjectAttribute"/>, a key that is read
    /// often may return the same object again.
    /// </remarks>
    [RequiresUnreferencedCode(UnreferencedCode)]
    [RequiresDynamicCode(UnreferencedCode)]
    [OverloadResolutionPriority(1)] // So that new() { ... } means the options.
    public static ValueTask<T?> GetJsonAsync<T>(
        this IKvNamespace kv, string key, KvGetOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kv);
        if (options is null && kv is KvNamespace local)
        {
            var objects = local.Objects;
            if (objects.TryFind(key, JsonForm<T>.Default, cancellationToken, out T? decoded, out var hash))
            {
                return new(decoded);
            }

            if (objects.TryFindRecord(key, hash, out var record))
            {
                return new(objects.Keep(JsonForm<T>.Default, hash, record, NamedJson.Read<T>(kv, key, record.ToValue())));
            }
        }

        return TryTake(kv.GetAsync(key, options, cancellationToken), out var value, out var get)
            ? new(NamedJson.Read<T>(kv, key, value))
            : Await(kv, key, get, cancellationToken);

        static async ValueTask<T?> Await(
            IKvNamespace kv, string key, ValueTask<KvValue> get, CancellationToken cancellationToken) =>
            NamedJson.Read<T>(kv, key, await LoadAsync(kv, get, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>Reads a value as JSON by generated code.</summary>
    /// <typeparam name="T">The type to read.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="jsonTypeInfo">How to read it. The names of properties may be written with another naming policy, so that <see cref="PutJsonAsync{T}(IKvNamespace, string, T, KvPutOptions?, CancellationToken)"/> and generated code read each other.</param>
    /// <param name="options">How to read; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the read where it has to wait.</param>
    /// <returns>The value; the default of <typeparamref name="T"/> when the key does not exist or holds JSON <c>null</c>.</returns>
    /// <exception cref="JsonException">The value is not JSON, or does not fit <typeparamref name="T"/>.</exception>
    public static ValueTask<T?> GetJsonAsync<T>(
        this IKvNamespace kv,
        string key,
        JsonTypeInfo<T> jsonTypeInfo,
        KvGetOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kv);
        if (options is null && kv is KvNamespace local)
        {
            var objects = local.Objects;
            if (objects.TryFind(key, jsonTypeInfo, cancellationToken, out T? decoded, out var hash))
            {
                return new(decoded);
            }

            if (objects.TryFindRecord(key, hash, out var record))
            {
                return new(objects.Keep(jsonTypeInfo, hash, record, NamedJson.Read(kv, key, record.ToValue(), jsonTypeInfo)));
            }
        }

        return TryTake(kv.GetAsync(key, options, cancellationToken), out var value, out var get)
            ? new(NamedJson.Read(kv, key, value, jsonTypeInfo))
            : Await(kv, key, get, jsonTypeInfo, cancellationToken);

        static async ValueTask<T?> Await(
            IKvNamespace kv, string key, ValueTask<KvValue> get, JsonTypeInfo<T> jsonTypeInfo, CancellationToken cancellationToken) =>
            NamedJson.Read(kv, key, await LoadAsync(kv, get, cancellationToken).ConfigureAwait(false), jsonTypeInfo);
    }

    /// <summary>Reads a value as bytes: a view that never changes, not a copy. Null when the key does not exist.</summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="options">How to read; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the read where it has to wait.</param>
    /// <returns>The bytes or null.</returns>
    public static ValueTask<ReadOnlyMemory<byte>?> GetBytesAsync(
        this IKvNamespace kv, string key, KvGetOptions? options = null, CancellationToken cancellationToken = default)
    {
        if (options is null && kv is KvNamespace local && !cancellationToken.IsCancellationRequested && local.Reads.Find(key) is { IsUnknown: false } found)
        {
            return found.Exists ? new(found.GetBytesInMemory()) : default;
        }

        return GetBytesElsewhereAsync(kv, key, options, cancellationToken);
    }

    // The rare branches are methods of their own, so that the common one saves no register and clears no memory for them.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ValueTask<string?> GetTextElsewhereAsync(
        IKvNamespace kv, string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        if (kv is ILocalNamespace local)
        {
            return local.Texts.GetAsync(key, options, cancellationToken);
        }

        ArgumentNullException.ThrowIfNull(kv);
        return TryTake(kv.GetAsync(key, options, cancellationToken), out var value, out var get) ? new(value.GetText()) : Await(kv, get, cancellationToken);

        static async ValueTask<string?> Await(
            IKvNamespace kv, ValueTask<KvValue> get, CancellationToken cancellationToken) =>
            (await LoadAsync(kv, get, cancellationToken).ConfigureAwait(false)).GetText();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static ValueTask<ReadOnlyMemory<byte>?> GetBytesElsewhereAsync(
        IKvNamespace kv, string key, KvGetOptions? options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(kv);
        return TryTake(kv.GetAsync(key, options, cancellationToken), out var value, out var get) ? new(Bytes(value)) : Await(kv, get, cancellationToken);

        // A bare null would be an empty array, which converts to memory that is not null.
        static ReadOnlyMemory<byte>? Bytes(in KvValue value) => value.Exists ? value.GetBytes() : default(ReadOnlyMemory<byte>?);

        static async ValueTask<ReadOnlyMemory<byte>?> Await(
            IKvNamespace kv, ValueTask<KvValue> get, CancellationToken cancellationToken) =>
            Bytes(await LoadAsync(kv, get, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>Opens a value as a stream. Null when the key does not exist.</summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="options">How to read; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the read where it has to wait.</param>
    /// <returns>A stream that cannot be written and that the caller disposes, or null.</returns>
    public static ValueTask<Stream?> GetStreamAsync(
        this IKvNamespace kv, string key, KvGetOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kv);
        var get = kv.GetAsync(key, options, cancellationToken);
        return get.IsCompletedSuccessfully ? new(Open(kv, get.Result)) : Await(kv, get);

        static Stream? Open(IKvNamespace kv, in KvValue value)
        {
            try
            {
                return value.Exists ? value.OpenStream() : null;
            }
            finally
            {
                kv.DisposeIfOwned(value);
            }
        }

        static async ValueTask<Stream?> Await(IKvNamespace kv, ValueTask<KvValue> get) => Open(kv, await get.ConfigureAwait(false));
    }

    /// <summary>Reads 1 to 100 values as text. Missing keys are null; a key named twice is answered once.</summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="keys">The keys.</param>
    /// <param name="options">How to read; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the read where it has to wait.</param>
    /// <returns>The texts by key, in the order asked for.</returns>
    public static async ValueTask<IReadOnlyDictionary<string, string?>> GetTextAsync(
        this IKvNamespace kv,
        IReadOnlyCollection<string> keys,
        KvGetOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kv);
        return ManyValues.ToTexts(
            await ManyValues.LoadAsync(kv, kv.GetManyAsync(keys, options, cancellationToken), cancellationToken).ConfigureAwait(false));
    }

    /// <summary>Reads 1 to 100 values as JSON, with the web defaults of System.Text.Json (camel case).</summary>
    /// <typeparam name="T">The type to read.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="keys">The keys; one that is named twice is answered once.</param>
    /// <param name="options">How to read; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the read where it has to wait.</param>
    /// <returns>The values by key, in the order asked for; missing keys have the default of <typeparamref name="T"/>.</returns>
    /// <exception cref="KvException">One of the values is not JSON, or does not fit <typeparamref name="T"/> (400); none is returned.</exception>
    [RequiresUnreferencedCode(UnreferencedCode)]
    [RequiresDynamicCode(UnreferencedCode)]
    [OverloadResolutionPriority(1)] // So that new() { ... } means the options.
    public static async ValueTask<IReadOnlyDictionary<string, T?>> GetJsonAsync<T>(
        this IKvNamespace kv,
        IReadOnlyCollection<string> keys,
        KvGetOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kv);
        var values = await ManyValues.LoadAsync(kv, kv.GetManyAsync(keys, options, cancellationToken), cancellationToken).ConfigureAwait(false);
        return ManyValues.ToObjects(kv, values, static value => value.GetJson<T>());
    }

    /// <summary>Reads 1 to 100 values as JSON by generated code.</summary>
    /// <typeparam name="T">The type to read.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="keys">The keys; one that is named twice is answered once.</param>
    /// <param name="jsonTypeInfo">How to read them. The names of properties may be written with another naming policy.</param>
    /// <param name="options">How to read; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the read where it has to wait.</param>
    /// <returns>The values by key, in the order asked for; missing keys have the default of <typeparamref name="T"/>.</returns>
    /// <exception cref="KvException">One of the values is not JSON, or does not fit <typeparamref name="T"/> (400); none is returned.</exception>
    public static async ValueTask<IReadOnlyDictionary<string, T?>> GetJsonAsync<T>(
        this IKvNamespace kv,
        IReadOnlyCollection<string> keys,
        JsonTypeInfo<T> jsonTypeInfo,
        KvGetOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kv);
        var values = await ManyValues.LoadAsync(kv, kv.GetManyAsync(keys, options, cancellationToken), cancellationToken).ConfigureAwait(false);
        return ManyValues.ToObjects(kv, values, value => value.GetJson(jsonTypeInfo));
    }

    /// <summary>Writes a value as JSON, with the web defaults of System.Text.Json (camel case).</summary>
    /// <typeparam name="T">The type to write.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <param name="options">Expiration and metadata; what is left out is cleared.</param>
    /// <param name="cancellationToken">Cancels the put where it has to wait.</param>
    /// <returns>A task that completes when the value is visible and as durable as configured.</returns>
    [RequiresUnreferencedCode(UnreferencedCode)]
    [RequiresDynamicCode(UnreferencedCode)]
    [OverloadResolutionPriority(1)] // So that new() { ... } means the options.
    public static ValueTask PutJsonAsync<T>(
        this IKvNamespace kv,
        string key,
        T value,
        KvPutOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kv);
        return kv.PutAsync(key, JsonSerializer.SerializeToUtf8Bytes(value, KvJson.Options), options, cancellationToken);
    }

    /// <summary>Writes a value as JSON by generated code.</summary>
    /// <typeparam name="T">The type to write.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <param name="jsonTypeInfo">How to write it.</param>
    /// <param name="options">Expiration and metadata; what is left out is cleared.</param>
    /// <param name="cancellationToken">Cancels the put where it has to wait.</param>
    /// <returns>A task that completes when the value is visible and as durable as configured.</returns>
    public static ValueTask PutJsonAsync<T>(
        this IKvNamespace kv,
        string key,
        T value,
        JsonTypeInfo<T> jsonTypeInfo,
        KvPutOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kv);
        return kv.PutAsync(key, JsonSerializer.SerializeToUtf8Bytes(value, jsonTypeInfo), options, cancellationToken);
    }

    /// <summary>
    /// Lists all keys with a prefix, page after page. No key that exists throughout is missed or repeated; one added behind
    /// the point reached is not seen, one ahead of it is.
    /// </summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="prefix">Only keys that begin with exactly this; null or empty for all.</param>
    /// <param name="cancellationToken">Ends the enumeration.</param>
    /// <returns>The keys in the order of their UTF-8 bytes.</returns>
    public static async IAsyncEnumerable<KvListKey> ListAllAsync(
        this IKvNamespace kv,
        string? prefix = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kv);
        string? cursor = null;
        do
        {
            var page = await kv.ListAsync(new KvListOptions { Prefix = prefix, Cursor = cursor }, cancellationToken).ConfigureAwait(false);
            foreach (var key in page.Keys)
            {
                yield return key;
            }

            cursor = page.Cursor;
        }
        while (cursor is not null);
    }

    // Whether the value has been found already, and is in memory. A task's result may be taken only once, so one that is taken
    // for nothing becomes a new task.
    private static bool TryTake(ValueTask<KvValue> get, out KvValue value, out ValueTask<KvValue> stillToAwait)
    {
        if (!get.IsCompletedSuccessfully)
        {
            value = default;
            stillToAwait = get;
            return false;
        }

        value = get.Result;
        stillToAwait = value.IsLarge ? new(value) : default;
        return !value.IsLarge;
    }

    private static async ValueTask<KvValue> LoadAsync(IKvNamespace kv, ValueTask<KvValue> get, CancellationToken cancellationToken)
    {
        var value = await get.ConfigureAwait(false);
        if (!value.IsLarge)
        {
            return value;
        }

        try
        {
            return await value.LoadAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            kv.DisposeIfOwned(value);
        }
    }

    // Identifies reading as this type with the defaults, among all ways of reading.
    private static class JsonForm<T>
    {
        public static readonly object Default = new();
    }
}
