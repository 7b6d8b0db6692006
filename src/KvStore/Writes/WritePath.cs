using System.Text;
using KvStore.Diagnostics;
using KvStore.Expiry;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Replication;
using KvStore.Rules;

namespace KvStore.Writes;

/// <summary>
/// Every put and delete of a namespace and of its regions: checks the key, the options and the limits, and hands the mutation to
/// the <see cref="CommitPath"/>.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class WritePath(string name, KvLimits limits, CoarseClock clock, CommitPath commit, KvTelemetry telemetry)
{
    private const string Touched = "TOUCH";

    private volatile bool _isClosed;

    /// <summary>Whether every put and delete throws <see cref="ObjectDisposedException"/>.</summary>
    public bool IsClosed => _isClosed;

    /// <summary>Puts a value.</summary>
    /// <param name="key">The key.</param>
    /// <param name="content">The value.</param>
    /// <param name="options">Expiration and metadata; null for neither.</param>
    /// <param name="origin">The region in which the put is made; null where the namespace is not replicated.</param>
    /// <param name="cancellationToken">Cancels the put before it is decided.</param>
    public ValueTask PutAsync(
        string key, KvContent content, KvPutOptions? options, RegionView? origin, CancellationToken cancellationToken)
    {
        return KvMetrics.IsObserved
            ? Observed(key, content, options, origin, cancellationToken)
            : Put(key, content, options, origin, cancellationToken);

        // A method of its own, because its closure would cost the other branch an allocation.
        async ValueTask Observed(
            string key, KvContent content, KvPutOptions? options, RegionView? origin, CancellationToken cancellationToken) =>
            await telemetry.ObserveAsync("put", () => Put(key, content, options, origin, cancellationToken)).ConfigureAwait(false);
    }

    /// <summary>Deletes a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="origin">The region in which the delete is made; null where the namespace is not replicated.</param>
    /// <param name="cancellationToken">Cancels the delete before it is decided.</param>
    public ValueTask DeleteAsync(string key, RegionView? origin, CancellationToken cancellationToken)
    {
        return KvMetrics.IsObserved ? Observed(key, origin, cancellationToken) : Delete(key, origin, cancellationToken);

        async ValueTask Observed(string key, RegionView? origin, CancellationToken cancellationToken) =>
            await telemetry.ObserveAsync("delete", () => Delete(key, origin, cancellationToken)).ConfigureAwait(false);
    }

    /// <summary>Puts a value if a condition holds.</summary>
    /// <param name="key">The key.</param>
    /// <param name="content">The value.</param>
    /// <param name="condition">What must hold.</param>
    /// <param name="options">Expiration and metadata; null for neither.</param>
    /// <param name="origin">The region in which the put is made; null where the namespace is not replicated.</param>
    /// <param name="cancellationToken">Cancels the put before it is decided.</param>
    public ValueTask<KvWriteResult> TryPutAsync(
        string key, KvContent content, KvCondition condition, KvPutOptions? options, RegionView? origin, CancellationToken cancellationToken)
    {
        return KvMetrics.IsObserved
            ? Observed(key, content, condition, options, origin, cancellationToken)
            : TryPut(key, content, condition, options, origin, cancellationToken);

        async ValueTask<KvWriteResult> Observed(
            string key, KvContent content, KvCondition condition, KvPutOptions? options, RegionView? origin, CancellationToken cancellationToken) =>
            await telemetry.ObserveAsync(
                "put", () => TryPut(key, content, condition, options, origin, cancellationToken), OutcomeOf).ConfigureAwait(false);
    }

    /// <summary>Deletes a key if a condition holds.</summary>
    /// <param name="key">The key.</param>
    /// <param name="condition">What must hold.</param>
    /// <param name="origin">The region in which the delete is made; null where the namespace is not replicated.</param>
    /// <param name="cancellationToken">Cancels the delete before it is decided.</param>
    public ValueTask<KvWriteResult> TryDeleteAsync(string key, KvCondition condition, RegionView? origin, CancellationToken cancellationToken)
    {
        return KvMetrics.IsObserved
            ? Observed(key, condition, origin, cancellationToken)
            : TryDelete(key, condition, origin, cancellationToken);

        async ValueTask<KvWriteResult> Observed(string key, KvCondition condition, RegionView? origin, CancellationToken cancellationToken) =>
            await telemetry.ObserveAsync("delete", () => TryDelete(key, condition, origin, cancellationToken), OutcomeOf).ConfigureAwait(false);
    }

    /// <summary>Gives an entry a new time to live if a condition holds.</summary>
    /// <param name="key">The key.</param>
    /// <param name="ttl">The time to live; null for ever.</param>
    /// <param name="condition">What must hold of the entry.</param>
    /// <param name="origin">The region in which the write is made; null where the namespace is not replicated.</param>
    /// <param name="cancellationToken">Cancels the write before it is decided.</param>
    /// <returns>Whether the key exists and the condition held.</returns>
    public ValueTask<KvWriteResult> TryTouchAsync(
        string key, TimeSpan? ttl, KvCondition condition, RegionView? origin, CancellationToken cancellationToken)
    {
        return KvMetrics.IsObserved
            ? Observed(key, ttl, condition, origin, cancellationToken)
            : TryTouch(key, ttl, condition, origin, cancellationToken);

        async ValueTask<KvWriteResult> Observed(
            string key, TimeSpan? ttl, KvCondition condition, RegionView? origin, CancellationToken cancellationToken) =>
            await telemetry.ObserveAsync(
                "touch",
                () => TryTouch(key, ttl, condition, origin, cancellationToken),
                static result => result.Succeeded ? "hit" : result.Revision == 0 ? "miss" : OutcomeOf(result)).ConfigureAwait(false);
    }

    /// <summary>Every later put and delete throws <see cref="ObjectDisposedException"/>.</summary>
    public void Close()
    {
        _isClosed = true;
        commit.Close();
    }

    private static string OutcomeOf(KvWriteResult result) => result.Succeeded ? "ok" : "condition_failed";

    private ValueTask<KvWriteResult> TryPut(
        string key, KvContent content, KvCondition condition, KvPutOptions? options, RegionView? origin, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        ThrowIfNoContent(key, content);
        ThrowIfNoCondition("PUT", key, condition);
        ThrowIfClosed();
        cancellationToken.ThrowIfCancellationRequested();
        if (KeyRules.TryAscii(key, limits.KeyBytesMax, out var hash))
        {
            return TryPut(new AsciiKey(key, hash), key, content, condition, options, origin, cancellationToken);
        }

        using var encoded = new EncodedKey(key, limits.KeyBytesMax, "PUT", stackalloc byte[EncodedKey.StackBytes]);
        return TryPut(encoded.Key, key, content, condition, options, origin, cancellationToken);
    }

    private ValueTask<KvWriteResult> TryPut<TKey>(
        in TKey key, string text, KvContent content, KvCondition condition, KvPutOptions? options, RegionView? origin, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        var (deadline, metadata) = OptionsOf(text, options);
        if (content.IsStreamed)
        {
            return commit.TryPutStreamedAsync(
                Encoding.UTF8.GetBytes(text), content, metadata, DeadlineAtEnd(text, options, deadline), origin, condition, cancellationToken);
        }

        return content.Text is { } value
            ? commit.TryPutAsync(key, value, metadata, deadline, origin, condition, cancellationToken)
            : commit.TryPutAsync(key, content.Bytes.Span, metadata, deadline, origin, condition, cancellationToken);
    }

    private ValueTask<KvWriteResult> TryDelete(string key, KvCondition condition, RegionView? origin, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        ThrowIfNoCondition("DELETE", key, condition);
        ThrowIfClosed();
        cancellationToken.ThrowIfCancellationRequested();
        if (KeyRules.TryAscii(key, limits.KeyBytesMax, out var hash))
        {
            return commit.TryDeleteAsync(new AsciiKey(key, hash), origin, condition, cancellationToken);
        }

        using var encoded = new EncodedKey(key, limits.KeyBytesMax, "DELETE", stackalloc byte[EncodedKey.StackBytes]);
        return commit.TryDeleteAsync(encoded.Key, origin, condition, cancellationToken);
    }

    private ValueTask<KvWriteResult> TryTouch(
        string key, TimeSpan? ttl, KvCondition condition, RegionView? origin, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        ThrowIfNoCondition(Touched, key, condition);
        ThrowIfClosed();
        cancellationToken.ThrowIfCancellationRequested();
        if (KeyRules.TryAscii(key, limits.KeyBytesMax, out var hash))
        {
            return commit.TryTouchAsync(new AsciiKey(key, hash), DeadlineAfter(key, ttl), origin, condition, cancellationToken);
        }

        using var encoded = new EncodedKey(key, limits.KeyBytesMax, Touched, stackalloc byte[EncodedKey.StackBytes]);
        return commit.TryTouchAsync(encoded.Key, DeadlineAfter(key, ttl), origin, condition, cancellationToken);
    }

    private Deadline DeadlineAfter(string key, TimeSpan? ttl) => ttl is null
        ? default
        : ExpirationRules.Check(new KvPutOptions { ExpirationTtl = ttl }, limits, clock.Now, name, key, Touched);

    private ValueTask Put(string key, KvContent content, KvPutOptions? options, RegionView? origin, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        ThrowIfNoContent(key, content);
        ThrowIfClosed();
        cancellationToken.ThrowIfCancellationRequested();
        if (KeyRules.TryAscii(key, limits.KeyBytesMax, out var hash))
        {
            return Put(new AsciiKey(key, hash), key, content, options, origin, cancellationToken);
        }

        using var encoded = new EncodedKey(key, limits.KeyBytesMax, "PUT", stackalloc byte[EncodedKey.StackBytes]);
        return Put(encoded.Key, key, content, options, origin, cancellationToken);
    }

    private ValueTask Put<TKey>(
        in TKey key, string text, KvContent content, KvPutOptions? options, RegionView? origin, CancellationToken cancellationToken)
        where TKey : struct, IKey, allows ref struct
    {
        var (deadline, metadata) = OptionsOf(text, options);
        if (content.IsStreamed)
        {
            return commit.PutStreamedAsync(
                Encoding.UTF8.GetBytes(text), content, metadata, DeadlineAtEnd(text, options, deadline), origin, cancellationToken);
        }

        return content.Text is { } value
            ? commit.PutAsync(key, value, metadata, deadline, origin, cancellationToken)
            : commit.PutAsync(key, content.Bytes.Span, metadata, deadline, origin, cancellationToken);
    }

    /// <summary>The deadline of a put whose value is read first: a time to live begins with the entry, and reading a stream may take long.</summary>
    /// <remarks>A method of its own, because its closure would cost every put an allocation.</remarks>
    internal Func<Deadline> DeadlineAtEnd(string key, KvPutOptions? options, Deadline deadline) =>
        options?.ExpirationTtl is not null ? () => ExpirationRules.AfterTtl(options, clock.Now, name, key) : () => deadline;

    private ValueTask Delete(string key, RegionView? origin, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        ThrowIfClosed();
        cancellationToken.ThrowIfCancellationRequested();
        if (KeyRules.TryAscii(key, limits.KeyBytesMax, out var hash))
        {
            return commit.DeleteAsync(new AsciiKey(key, hash), origin);
        }

        using var encoded = new EncodedKey(key, limits.KeyBytesMax, "DELETE", stackalloc byte[EncodedKey.StackBytes]);
        return commit.DeleteAsync(encoded.Key, origin);
    }

    /// <summary>Checks the options of a put.</summary>
    internal (Deadline Deadline, ReadOnlyMemory<byte> Metadata) OptionsOf(string key, KvPutOptions? options) => options is null
        ? default
        : (ExpirationRules.Check(options, limits, clock.Now, name, key), MetadataCodec.Encode(options.Metadata, limits.MetadataBytesMax));

    /// <summary>
    /// Options that were checked before. A date that was far enough ahead then is not refused now, and a time to live begins now.
    /// </summary>
    internal (Deadline Deadline, ReadOnlyMemory<byte> Metadata) CheckedOptionsOf(string key, KvPutOptions? options, DateTimeOffset checkedAt) =>
        options is null
            ? default
            : (options.ExpirationTtl is null
                    ? ExpirationRules.Check(options, limits, checkedAt, name, key)
                    : ExpirationRules.AfterTtl(options, clock.Now, name, key),
                MetadataCodec.Encode(options.Metadata, limits.MetadataBytesMax));

    private void ThrowIfNoContent(string key, KvContent content)
    {
        if (content.IsDefault)
        {
            throw new ArgumentException(NamedEntry.NoContent(name, key), nameof(content));
        }
    }

    private void ThrowIfNoCondition(string operation, string key, KvCondition condition)
    {
        if (condition.IsDefault)
        {
            throw new ArgumentException(NamedEntry.NoCondition(operation, name, key), nameof(condition));
        }
    }

    internal void ThrowIfClosed()
    {
        if (_isClosed)
        {
            throw DisposedNamespace.Exception(name);
        }
    }
}
