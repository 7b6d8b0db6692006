using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvStore.Creation;
using KvStore.Reads;
using KvStore.Rules;
using KvStore.Updates;

namespace KvStore;

/// <summary>Counters, and updates of a value by what it is: read, change and write in one step.</summary>
/// <remarks>
/// <para>The newest version of the entry is read, and the new value is written if the entry is still that version; otherwise both
/// are done again (<c>kvstore.update.retries</c> counts how often). So no update is lost, also when others write the key. Where a namespace has regions, that is the newest
/// state and not what the home region sees. Updates of one key that wait for each other take turns.</para>
/// <para>Without options an entry keeps its expiration and metadata. With options it gets those, and what is left out is cleared.</para>
/// <para>A write that failed has changed nothing; one whose outcome is unknown, because the process died before it was acknowledged, may
/// be there. Thread safety: all members, from any thread.</para>
/// <para>A function must not write the key that it updates, because the entry would never stay the version that the function was given. Another
/// update of the key in the function is an <see cref="InvalidOperationException"/>. After 1,000 calls of the function, during each of which
/// the entry was written, the update fails.</para>
/// </remarks>
public static class KvUpdateExtensions
{
    private const string UnreferencedCode = "Reflects over T; use the overload that takes a JsonTypeInfo<T> where code is trimmed or compiled ahead of time.";

    // A number of 64 bits with its sign has 20 characters; more only with zeros before it.
    private const int NumberBytesMax = 64;

    /// <summary>Whether a key exists and has not expired. Its value is not read.</summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="cancellationToken">Cancels the read where it has to wait.</param>
    /// <returns>Whether it exists.</returns>
    /// <exception cref="ArgumentException">The key is empty, <c>.</c> or <c>..</c>.</exception>
    /// <exception cref="KvException">The key is too long (414) or not Unicode (400).</exception>
    public static async ValueTask<bool> ExistsAsync(this IKvExtendedNamespace kv, string key, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(kv);
        var value = await kv.GetAsync(key, options: null, cancellationToken).ConfigureAwait(false);
        kv.DisposeIfOwned(value);
        return value.Exists;
    }

    /// <summary>Adds to a number, which is stored as decimal text. A key that does not exist is 0.</summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="by">What is added; it may be negative.</param>
    /// <param name="options">Expiration and metadata; null to keep those of the entry.</param>
    /// <param name="cancellationToken">Ends the update between two tries; the number is unchanged then.</param>
    /// <returns>The new number, which is as durable as the namespace is configured.</returns>
    /// <exception cref="ArgumentException">As for <see cref="IKvNamespace.PutAsync"/>.</exception>
    /// <exception cref="KvException">
    /// As for <see cref="IKvNamespace.PutAsync"/>; or the value is not a whole number, or the sum does not fit 64 bits (400). Nothing has changed.
    /// </exception>
    public static ValueTask<long> IncrementAsync(
        this IKvExtendedNamespace kv, string key, long by = 1, KvPutOptions? options = null, CancellationToken cancellationToken = default) =>
        KeyUpdate.RunAsync(kv, key, options, by, static (kv, key, current, by) => Add(kv, key, current, by), callsBack: false, cancellationToken);

    /// <summary>Changes a text by what it is.</summary>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="update">
    /// Makes the new text of the old one, which is null where the key does not exist. Null deletes the key; the same text writes nothing,
    /// unless there are options. It may be called more than once.
    /// </param>
    /// <param name="options">Expiration and metadata; null to keep those of the entry.</param>
    /// <param name="cancellationToken">Ends the update between two tries; nothing has changed then.</param>
    /// <returns>The new text; null when the key does not exist any more.</returns>
    /// <exception cref="ArgumentException">As for <see cref="IKvNamespace.PutAsync"/>.</exception>
    /// <exception cref="KvException">
    /// As for <see cref="IKvNamespace.PutAsync"/>; or the entry was written during each of 1,000 calls of the function (409). Nothing has changed.
    /// </exception>
    /// <exception cref="InvalidOperationException">The call is made by the function of an update of the same key.</exception>
    public static ValueTask<string?> UpdateAsync(
        this IKvExtendedNamespace kv,
        string key,
        Func<string?, string?> update,
        KvPutOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(update);
        return KeyUpdate.RunAsync(
            kv,
            key,
            options,
            (update, isKept: options is null),
            static (_, _, current, state) => TextOf(current.GetText(), state.update, state.isKept),
            callsBack: true,
            cancellationToken);
    }

    /// <summary>Changes a value that is JSON by what it is, with the web defaults of System.Text.Json (camel case).</summary>
    /// <typeparam name="T">The type of the value. With one that cannot be null, a key cannot be deleted.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="update">
    /// Makes the new value of the old one, which is the default of <typeparamref name="T"/> where the key does not exist. It may change the
    /// object that it gets. Null deletes the key; the same JSON writes nothing, unless there are options. It may be called more than once.
    /// </param>
    /// <param name="options">Expiration and metadata; null to keep those of the entry.</param>
    /// <param name="cancellationToken">Ends the update between two tries; nothing has changed then.</param>
    /// <returns>The new value; the default of <typeparamref name="T"/> when the key does not exist any more.</returns>
    /// <exception cref="ArgumentException">As for <see cref="IKvNamespace.PutAsync"/>.</exception>
    /// <exception cref="KvException">
    /// As for <see cref="IKvNamespace.PutAsync"/>; or the entry was written during each of 1,000 calls of the function (409). Nothing has changed.
    /// </exception>
    /// <exception cref="InvalidOperationException">The call is made by the function of an update of the same key.</exception>
    /// <exception cref="JsonException">The value is not JSON, or does not fit <typeparamref name="T"/>.</exception>
    [RequiresUnreferencedCode(UnreferencedCode)]
    [RequiresDynamicCode(UnreferencedCode)]
    [OverloadResolutionPriority(1)] // So that new() { ... } means the options.
    public static ValueTask<T?> UpdateJsonAsync<T>(
        this IKvExtendedNamespace kv,
        string key,
        Func<T?, T?> update,
        KvPutOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(update);
        return UpdateJsonAsync(kv, key, update, new JsonOf<T>(typeInfo: null), options, cancellationToken);
    }

    /// <summary>Changes a value that is JSON by what it is, by generated code.</summary>
    /// <typeparam name="T">The type of the value. With one that cannot be null, a key cannot be deleted.</typeparam>
    /// <param name="kv">The namespace.</param>
    /// <param name="key">The key.</param>
    /// <param name="update">
    /// Makes the new value of the old one, which is the default of <typeparamref name="T"/> where the key does not exist. It may change the
    /// object that it gets. Null deletes the key; the same JSON writes nothing, unless there are options. It may be called more than once.
    /// </param>
    /// <param name="jsonTypeInfo">How the value becomes JSON and back.</param>
    /// <param name="options">Expiration and metadata; null to keep those of the entry.</param>
    /// <param name="cancellationToken">Ends the update between two tries; nothing has changed then.</param>
    /// <returns>The new value; the default of <typeparamref name="T"/> when the key does not exist any more.</returns>
    /// <exception cref="ArgumentException">As for <see cref="IKvNamespace.PutAsync"/>.</exception>
    /// <exception cref="KvException">
    /// As for <see cref="IKvNamespace.PutAsync"/>; or the entry was written during each of 1,000 calls of the function (409). Nothing has changed.
    /// </exception>
    /// <exception cref="InvalidOperationException">The call is made by the function of an update of the same key.</exception>
    /// <exception cref="JsonException">The value is not JSON, or does not fit <typeparamref name="T"/>.</exception>
    public static ValueTask<T?> UpdateJsonAsync<T>(
        this IKvExtendedNamespace kv,
        string key,
        Func<T?, T?> update,
        JsonTypeInfo<T> jsonTypeInfo,
        KvPutOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(update);
        ArgumentNullException.ThrowIfNull(jsonTypeInfo);
        return UpdateJsonAsync(kv, key, update, new JsonOf<T>(jsonTypeInfo), options, cancellationToken);
    }

    private static ValueTask<T?> UpdateJsonAsync<T>(
        IKvExtendedNamespace kv, string key, Func<T?, T?> update, JsonOf<T> json, KvPutOptions? options, CancellationToken cancellationToken) =>
        KeyUpdate.RunAsync(
            kv,
            key,
            options,
            (update, json, isKept: options is null),
            static (kv, key, current, state) => JsonOf(kv, key, current, state.update, state.json, state.isKept),
            callsBack: true,
            cancellationToken);

    private static Updated<string?> TextOf(string? old, Func<string?, string?> update, bool isKept)
    {
        var updated = update(old);
        return updated is null ? new(UpdateKind.Delete, default, null)
            : isKept && updated == old ? new(UpdateKind.Keep, default, updated)
            : new(UpdateKind.Put, updated, updated);
    }

    // The JSON is compared, not the object: the function may have changed the object.
    private static Updated<T?> JsonOf<T>(IKvNamespace kv, string key, in KvValue current, Func<T?, T?> update, JsonOf<T> json, bool isKept)
    {
        var updated = update(current.Exists ? json.Read(kv, key, current) : default);
        if (updated is null)
        {
            return new(UpdateKind.Delete, default, default);
        }

        var utf8 = json.Write(updated);
        return isKept && current.Exists && current.GetBytes().Span.SequenceEqual(utf8)
            ? new(UpdateKind.Keep, default, updated)
            : new(UpdateKind.Put, utf8, updated);
    }

    private static Updated<long> Add(IKvNamespace kv, string key, in KvValue current, long by)
    {
        var number = 0L;
        if (current.Exists
            && !(current.Length <= NumberBytesMax
                && long.TryParse(current.GetBytes().Span, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number)))
        {
            throw new KvException(400, "PUT", Invariant($"The value is not the text of a whole number from {long.MinValue} to {long.MaxValue}, so nothing can be added to it. {NamedEntry.NothingStored(kv.Name, key)}"));
        }

        var sum = unchecked(number + by);
        return by >= 0 == sum >= number
            ? new(UpdateKind.Put, sum.ToString(CultureInfo.InvariantCulture), sum)
            : throw new KvException(400, "PUT", Invariant($"The number plus {by} is not from {long.MinValue} to {long.MaxValue}. {NamedEntry.NothingStored(kv.Name, key)}"));
    }
}
