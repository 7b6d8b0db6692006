using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization.Metadata;
using KvStore.Creation;
using KvStore.Prefixes;
using KvStore.Reads;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvStore;

/// <summary>Reads values, and creates those that are not there: what a cache is for.</summary>
/// <remarks>
/// <para>Values are JSON, as <see cref="KvNamespaceExtensions.PutJsonAsync{T}(IKvNamespace, string, T, KvPutOptions?, CancellationToken)"/>
/// writes and <c>GetJsonAsync</c> reads them, a text too. A factory that returns null stores JSON <c>null</c>, which is a value.
/// A value that is there and does not fit <c>T</c> is a <see cref="System.Text.Json.JsonException"/>, and stays.</para>
/// <para><b>One at a time.</b> A process calls one factory at a time for a key of a namespace; views with a prefix are the namespace. Other
/// callers wait for it and get its value: the same object where nobody can change it, otherwise a copy of their own. The
/// factory is called on the thread and in the execution context of the first caller, and may outlive its call: it must not use what
/// belongs to one request.</para>
/// <para><b>Cancellation.</b> A caller's token ends that caller's wait. The factory gets a token that is cancelled when no caller waits any
/// more, or the namespace is disposed; what it returns then is not stored. The next caller waits until a cancelled factory has
/// ended.</para>
/// <para><b>Failures.</b> An exception of the factory reaches everyone who waits, and nothing is stored; the next call asks again.
/// An expiration, metadata or a value that the namespace does not allow is an exception too. Where the
/// namespace cannot store the value now, because the disk fails, it is full, or writes come too fast, callers get the value; the
/// failure is logged and counted, and the next call asks again.</para>
/// <para><b>Other writes.</b> A put or delete of the key while the factory refreshes an entry wins over the value of the
/// factory, which is then returned and not stored; and so does a put while the factory creates one. A delete of a key that does not exist
/// yet leaves no trace.</para>
/// <para><b>Waiting for oneself.</b> A factory that asks for its own key, or for one whose factory waits for it, gets an
/// <see cref="InvalidOperationException"/>.</para>
/// <para>Calls of factories are counted as <c>kvstore.factory.calls</c> by outcome. Thread safety: all members, from any thread.</para>
/// </remarks>
public static class KvGetOrCreateExtensions
{
    private const string UnreferencedCode = "Reflects over T; use the overload that takes a JsonTypeInfo<T> where code is trimmed or compiled ahead of time.";

    // Of implementations that keep none themselves.
    private static readonly ConditionalWeakTable<IKvExtendedNamespace, Flights> s_flights = [];

    /// <summary>Reads a value as JSON, or creates it where it is not there; the factory decides how it is stored, or that it is not.</summary>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="factory">Creates the value. Its token is cancelled when no caller waits any more.</param>
    /// <param name="options">For how long the value is kept, and when it is refreshed; null to keep it until it is deleted.</param>
    /// <param name="cancellationToken">Ends the wait of this caller; see the remarks of the class.</param>
    /// <returns>The value.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>, or the expiration cannot be stored.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400), the time to live is out of range (400), or the value or its metadata is too large (413).</exception>
    /// <exception cref="InvalidOperationException">The factory of a key asks for that key.</exception>
    /// <exception cref="System.Text.Json.JsonException">The value that is there does not fit <typeparamref name="T"/>.</exception>
    [RequiresUnreferencedCode(UnreferencedCode)]
    [RequiresDynamicCode(UnreferencedCode)]
    [OverloadResolutionPriority(3)] // So that new() { ... } means the options.
    public static ValueTask<T> GetOrCreateAsync<T>(
        this IKvExtendedNamespace kv,
        string key,
        Func<CancellationToken, ValueTask<KvCreated<T>>> factory,
        KvGetOrCreateOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(factory);
        return TryHit(kv, key, JsonForm<T>.Default, options, cancellationToken, out T? hit, out var hash)
            ? new(hit!)
            : GetAsync(kv, key, hash, null, options, factory, static (factory, token) => factory(token), cancellationToken);
    }

    /// <summary>Reads a value as JSON by generated code, or creates it where it is not there; the factory decides how it is stored, or that it is not.</summary>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="factory">Creates the value. Its token is cancelled when no caller waits any more.</param>
    /// <param name="jsonTypeInfo">How the value becomes JSON and back.</param>
    /// <param name="options">For how long the value is kept, and when it is refreshed; null to keep it until it is deleted.</param>
    /// <param name="cancellationToken">Ends the wait of this caller; see the remarks of the class.</param>
    /// <returns>The value.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>, or the expiration cannot be stored.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400), the time to live is out of range (400), or the value or its metadata is too large (413).</exception>
    /// <exception cref="InvalidOperationException">The factory of a key asks for that key.</exception>
    /// <exception cref="System.Text.Json.JsonException">The value that is there does not fit <typeparamref name="T"/>.</exception>
    [OverloadResolutionPriority(2)]
    public static ValueTask<T> GetOrCreateAsync<T>(
        this IKvExtendedNamespace kv,
        string key,
        Func<CancellationToken, ValueTask<KvCreated<T>>> factory,
        JsonTypeInfo<T> jsonTypeInfo,
        KvGetOrCreateOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(factory);
        ArgumentNullException.ThrowIfNull(jsonTypeInfo);
        return TryHit(kv, key, jsonTypeInfo, options, cancellationToken, out T? hit, out var hash)
            ? new(hit!)
            : GetAsync(kv, key, hash, jsonTypeInfo, options, factory, static (factory, token) => factory(token), cancellationToken);
    }

    /// <summary>Reads a value as JSON, or creates and stores it where it is not there.</summary>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="factory">Creates the value. Its token is cancelled when no caller waits any more.</param>
    /// <param name="options">For how long the value is kept, and when it is refreshed; null to keep it until it is deleted.</param>
    /// <param name="cancellationToken">Ends the wait of this caller; see the remarks of the class.</param>
    /// <returns>The value.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>, or the expiration cannot be stored.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400), the time to live is out of range (400), or the value or its metadata is too large (413).</exception>
    /// <exception cref="InvalidOperationException">The factory of a key asks for that key.</exception>
    /// <exception cref="System.Text.Json.JsonException">The value that is there does not fit <typeparamref name="T"/>.</exception>
    [RequiresUnreferencedCode(UnreferencedCode)]
    [RequiresDynamicCode(UnreferencedCode)]
    [OverloadResolutionPriority(1)] // So that new() { ... } means the options.
    public static ValueTask<T> GetOrCreateAsync<T>(
        this IKvExtendedNamespace kv,
        string key,
        Func<CancellationToken, ValueTask<T>> factory,
        KvGetOrCreateOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(factory);
        return TryHit(kv, key, JsonForm<T>.Default, options, cancellationToken, out T? hit, out var hash)
            ? new(hit!)
            : GetAsync(kv, key, hash, null, options, factory, static async (factory, token) => new KvCreated<T>(await factory(token).ConfigureAwait(false)), cancellationToken);
    }

    /// <summary>Reads a value as JSON by generated code, or creates and stores it where it is not there.</summary>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="factory">Creates the value. Its token is cancelled when no caller waits any more.</param>
    /// <param name="jsonTypeInfo">How the value becomes JSON and back.</param>
    /// <param name="options">For how long the value is kept, and when it is refreshed; null to keep it until it is deleted.</param>
    /// <param name="cancellationToken">Ends the wait of this caller; see the remarks of the class.</param>
    /// <returns>The value.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>, or the expiration cannot be stored.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400), the time to live is out of range (400), or the value or its metadata is too large (413).</exception>
    /// <exception cref="InvalidOperationException">The factory of a key asks for that key.</exception>
    /// <exception cref="System.Text.Json.JsonException">The value that is there does not fit <typeparamref name="T"/>.</exception>
    public static ValueTask<T> GetOrCreateAsync<T>(
        this IKvExtendedNamespace kv,
        string key,
        Func<CancellationToken, ValueTask<T>> factory,
        JsonTypeInfo<T> jsonTypeInfo,
        KvGetOrCreateOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(factory);
        ArgumentNullException.ThrowIfNull(jsonTypeInfo);
        return TryHit(kv, key, jsonTypeInfo, options, cancellationToken, out T? hit, out var hash)
            ? new(hit!)
            : GetAsync(kv, key, hash, jsonTypeInfo, options, factory, static async (factory, token) => new KvCreated<T>(await factory(token).ConfigureAwait(false)), cancellationToken);
    }

    /// <summary>Reads a value as JSON, or creates it where it is not there; the factory decides how it is stored, or that it is not.</summary>
    /// <typeparam name="TState">The type of the state.</typeparam>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="state">What the factory is called with, so that it need not capture anything and a hit allocates nothing.</param>
    /// <param name="factory">Creates the value. Its token is cancelled when no caller waits any more.</param>
    /// <param name="options">For how long the value is kept, and when it is refreshed; null to keep it until it is deleted.</param>
    /// <param name="cancellationToken">Ends the wait of this caller; see the remarks of the class.</param>
    /// <returns>The value.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>, or the expiration cannot be stored.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400), the time to live is out of range (400), or the value or its metadata is too large (413).</exception>
    /// <exception cref="InvalidOperationException">The factory of a key asks for that key.</exception>
    /// <exception cref="System.Text.Json.JsonException">The value that is there does not fit <typeparamref name="T"/>.</exception>
    [RequiresUnreferencedCode(UnreferencedCode)]
    [RequiresDynamicCode(UnreferencedCode)]
    [OverloadResolutionPriority(3)] // So that new() { ... } means the options.
    public static ValueTask<T> GetOrCreateAsync<TState, T>(
        this IKvExtendedNamespace kv,
        string key,
        TState state,
        Func<TState, CancellationToken, ValueTask<KvCreated<T>>> factory,
        KvGetOrCreateOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(factory);
        return TryHit(kv, key, JsonForm<T>.Default, options, cancellationToken, out T? hit, out var hash)
            ? new(hit!)
            : GetAsync(kv, key, hash, null, options, state, factory, cancellationToken);
    }

    /// <summary>Reads a value as JSON by generated code, or creates it where it is not there; the factory decides how it is stored, or that it is not.</summary>
    /// <typeparam name="TState">The type of the state.</typeparam>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="state">What the factory is called with, so that it need not capture anything and a hit allocates nothing.</param>
    /// <param name="factory">Creates the value. Its token is cancelled when no caller waits any more.</param>
    /// <param name="jsonTypeInfo">How the value becomes JSON and back.</param>
    /// <param name="options">For how long the value is kept, and when it is refreshed; null to keep it until it is deleted.</param>
    /// <param name="cancellationToken">Ends the wait of this caller; see the remarks of the class.</param>
    /// <returns>The value.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>, or the expiration cannot be stored.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400), the time to live is out of range (400), or the value or its metadata is too large (413).</exception>
    /// <exception cref="InvalidOperationException">The factory of a key asks for that key.</exception>
    /// <exception cref="System.Text.Json.JsonException">The value that is there does not fit <typeparamref name="T"/>.</exception>
    [OverloadResolutionPriority(2)]
    public static ValueTask<T> GetOrCreateAsync<TState, T>(
        this IKvExtendedNamespace kv,
        string key,
        TState state,
        Func<TState, CancellationToken, ValueTask<KvCreated<T>>> factory,
        JsonTypeInfo<T> jsonTypeInfo,
        KvGetOrCreateOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(factory);
        ArgumentNullException.ThrowIfNull(jsonTypeInfo);
        return TryHit(kv, key, jsonTypeInfo, options, cancellationToken, out T? hit, out var hash)
            ? new(hit!)
            : GetAsync(kv, key, hash, jsonTypeInfo, options, state, factory, cancellationToken);
    }

    /// <summary>Reads a value as JSON, or creates and stores it where it is not there.</summary>
    /// <typeparam name="TState">The type of the state.</typeparam>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="state">What the factory is called with, so that it need not capture anything and a hit allocates nothing.</param>
    /// <param name="factory">Creates the value. Its token is cancelled when no caller waits any more.</param>
    /// <param name="options">For how long the value is kept, and when it is refreshed; null to keep it until it is deleted.</param>
    /// <param name="cancellationToken">Ends the wait of this caller; see the remarks of the class.</param>
    /// <returns>The value.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>, or the expiration cannot be stored.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400), the time to live is out of range (400), or the value or its metadata is too large (413).</exception>
    /// <exception cref="InvalidOperationException">The factory of a key asks for that key.</exception>
    /// <exception cref="System.Text.Json.JsonException">The value that is there does not fit <typeparamref name="T"/>.</exception>
    [RequiresUnreferencedCode(UnreferencedCode)]
    [RequiresDynamicCode(UnreferencedCode)]
    [OverloadResolutionPriority(1)] // So that new() { ... } means the options.
    public static ValueTask<T> GetOrCreateAsync<TState, T>(
        this IKvExtendedNamespace kv,
        string key,
        TState state,
        Func<TState, CancellationToken, ValueTask<T>> factory,
        KvGetOrCreateOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(factory);
        return TryHit(kv, key, JsonForm<T>.Default, options, cancellationToken, out T? hit, out var hash)
            ? new(hit!)
            : GetAsync(kv, key, hash, null, options, (state, factory), static async (call, token) => new KvCreated<T>(await call.factory(call.state, token).ConfigureAwait(false)), cancellationToken);
    }

    /// <summary>Reads a value as JSON by generated code, or creates and stores it where it is not there.</summary>
    /// <typeparam name="TState">The type of the state.</typeparam>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="state">What the factory is called with, so that it need not capture anything and a hit allocates nothing.</param>
    /// <param name="factory">Creates the value. Its token is cancelled when no caller waits any more.</param>
    /// <param name="jsonTypeInfo">How the value becomes JSON and back.</param>
    /// <param name="options">For how long the value is kept, and when it is refreshed; null to keep it until it is deleted.</param>
    /// <param name="cancellationToken">Ends the wait of this caller; see the remarks of the class.</param>
    /// <returns>The value.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>, or the expiration cannot be stored.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400), the time to live is out of range (400), or the value or its metadata is too large (413).</exception>
    /// <exception cref="InvalidOperationException">The factory of a key asks for that key.</exception>
    /// <exception cref="System.Text.Json.JsonException">The value that is there does not fit <typeparamref name="T"/>.</exception>
    public static ValueTask<T> GetOrCreateAsync<TState, T>(
        this IKvExtendedNamespace kv,
        string key,
        TState state,
        Func<TState, CancellationToken, ValueTask<T>> factory,
        JsonTypeInfo<T> jsonTypeInfo,
        KvGetOrCreateOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(factory);
        ArgumentNullException.ThrowIfNull(jsonTypeInfo);
        return TryHit(kv, key, jsonTypeInfo, options, cancellationToken, out T? hit, out var hash)
            ? new(hit!)
            : GetAsync(kv, key, hash, jsonTypeInfo, options, (state, factory), static async (call, token) => new KvCreated<T>(await call.factory(call.state, token).ConfigureAwait(false)), cancellationToken);
    }

    // The cached object of an entry that is fresh for certain: nearly every call ends here. Otherwise the hash of the key, where it is known.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static bool TryHit<T>(
        IKvExtendedNamespace kv,
        string key,
        object form,
        KvGetOrCreateOptions? options,
        CancellationToken cancellationToken,
        [MaybeNullWhen(false)] out T hit,
        out ulong hash)
    {
        if (kv is KvNamespace local)
        {
            return options is null || options.LookAheadSeconds == 0
                ? local.Objects.TryFind(key, form, cancellationToken, out hit, out hash)
                : local.Objects.TryFindFresh(key, form, options.LookAheadSeconds, cancellationToken, out hit, out hash);
        }

        hit = default;
        hash = 0;
        return false;
    }

    private static ValueTask<T> GetAsync<TState, T>(
        IKvExtendedNamespace kv,
        string key,
        ulong hash,
        JsonTypeInfo<T>? jsonTypeInfo,
        KvGetOrCreateOptions? options,
        TState state,
        Func<TState, CancellationToken, ValueTask<KvCreated<T>>> factory,
        CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(kv);
        var json = new JsonOf<T>(jsonTypeInfo);
        if (kv is PrefixedExtendedNamespace view)
        {
            kv = view.InnerExtended;
            key = view.InnerKeyOf(key, "GET");
            if (TryHit(kv, key, json.Form, options, cancellationToken, out T? hit, out hash))
            {
                return new(hit!);
            }
        }

        var local = kv as KvNamespace;
        if (local is not null && local.Objects.TryFindRecord(key, hash, out var record))
        {
            var found = new KvValue(record.Segment, record.Offset);
            if (IsFresh(found, options, local))
            {
                return new(local.Objects.Keep(json.Form, hash, record, json.Read(kv, key, found))!);
            }
        }

        if (IsFound(kv.GetAsync(key, options: null, cancellationToken), out var value, out var get) && IsFresh(value, options, local))
        {
            return new(json.Read(kv, key, value));
        }

        var flights = local?.Creations ?? s_flights.GetValue(kv, static kv => new Flights(kv.Name, TimeProvider.System, NullLogger.Instance));
        return new GetOrCreateCall<TState, T>(kv, flights, key, json, options, state, factory).RunAsync(get, cancellationToken);
    }

    // Whether a value has been found already, and is in memory. A task's result may be taken only once, so one that is taken becomes a new
    // task.
    private static bool IsFound(ValueTask<KvValue> get, out KvValue value, out ValueTask<KvValue> stillToAwait)
    {
        if (!get.IsCompletedSuccessfully)
        {
            value = default;
            stillToAwait = get;
            return false;
        }

        value = get.Result;
        stillToAwait = new(value);
        return value is { Exists: true, IsLarge: false };
    }

    private static bool IsFresh(in KvValue value, KvGetOrCreateOptions? options, KvNamespace? local) =>
        options is null || options.LookAhead == default || options.FreshnessOf(value.Deadline, (local?.TimeProvider ?? TimeProvider.System).GetUtcNow()) == Freshness.Fresh;
}
