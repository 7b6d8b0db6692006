using System.Buffers;
using KvStore.Distributed;
using KvStore.Failures;
using KvStore.Keys;
using Microsoft.Extensions.Caching.Distributed;
using Microsoft.Extensions.Logging;

namespace KvStore;

/// <summary>
/// A distributed cache in a namespace of this process: <see cref="IDistributedCache"/> and <see cref="IBufferDistributedCache"/>. Applications
/// register it with <c>services.AddKvDistributedCache("CACHE_KV")</c>.
/// </summary>
/// <remarks>
/// <para>Expirations are exact to the millisecond. Sliding never goes beyond the absolute expiration. Of a relative and an absolute
/// expiration the relative one counts. A read of an entry that slides does not write its value: the store learns of the use by a touch,
/// once in a sixteenth of the window. Disposing the cache saves the exact times of the last uses. After a crash an entry slides from the
/// last touch on.</para>
/// <para>Reads do not wait, because data is in memory, with two exceptions. A large value (<see cref="KvValue.IsLarge"/>, 256 KiB or more where the
/// namespace persists) is read from its file: the asynchronous members await that, and the synchronous ones block. And an asynchronous read
/// that touches the entry completes when the touch does; a synchronous one does not wait for it, unless the disk takes longer for the
/// touch than the entry had left in the store.</para>
/// <para>Writes complete when they are as durable as the namespace is configured. Where that is <see cref="Durability.Immediate"/>, a
/// synchronous <see cref="Set(string, byte[], DistributedCacheEntryOptions)"/> or <see cref="Remove"/> blocks its thread until the disk has
/// flushed; use <see cref="Durability.Interval"/> for a cache, or the asynchronous members.</para>
/// <para>When the store fails, a read finds nothing and a write is left out; both are logged, and nothing is thrown. An entry that a failed
/// write should have replaced or removed is not shown any more. Wrong arguments are still thrown, and so is a value that the namespace can never
/// take, because it is too long.</para>
/// <para>Any text is a key: see <see cref="KvDistributedCacheOptions.Prefix"/> for what it becomes in the namespace. A key that a namespace
/// does not take (for example longer than 512 bytes) is hashed.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
public sealed class KvDistributedCache : IBufferDistributedCache, IAsyncDisposable, IDisposable
{
    /// <summary>The longest metadata that the cache writes, in bytes: the expirations of an entry.</summary>
    public const int MetadataBytesMax = EntryExpiration.MetadataBytesMax;

    private const string GetOperation = "get";
    private const string RefreshOperation = "refresh";

    private readonly CacheEntries _entries;

    // A container disposes it once for each service that it is.
    private int _isDisposed;

    /// <summary>Makes a cache in a namespace, for code that has no container, and for packages that build on it.</summary>
    /// <param name="kv">The namespace, which the caller disposes after the cache.</param>
    /// <param name="adapter">The name of the cache in metrics, and the prefix of its keys. An application has one cache of each prefix.</param>
    /// <param name="loggerFactory">Makes the logger; null for no logs.</param>
    /// <exception cref="ArgumentException">The prefix is not Unicode, or longer than 256 bytes.</exception>
    public KvDistributedCache(KvNamespace kv, KvAdapter adapter, ILoggerFactory? loggerFactory = null)
    {
        ArgumentNullException.ThrowIfNull(kv);
        ArgumentNullException.ThrowIfNull(adapter);
        EntryKeys.Check(adapter.Prefix, nameof(adapter));
        _entries = new CacheEntries(kv, adapter, loggerFactory);
    }

    /// <summary>The entries, for tests.</summary>
    internal CacheEntries Entries => _entries;

    /// <summary>Reads a value, and counts as a use of an entry that slides.</summary>
    /// <param name="key">The key.</param>
    /// <returns>A copy of the value; null when there is none.</returns>
    public byte[]? Get(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (!_entries.TryFind(key, GetOperation, out var value, out _))
        {
            return null;
        }

        using (value)
        {
            try
            {
                var bytes = value.GetBytes().ToArray();
                _entries.ReportRead(value, GetOperation);
                return bytes;
            }
            catch (Exception e) when (value.IsLarge && StoreFailures.IsOne(e))
            {
                _entries.ReportRead(GetOperation, e);
                return null;
            }
        }
    }

    /// <summary>Reads a value, and counts as a use of an entry that slides.</summary>
    /// <param name="key">The key.</param>
    /// <param name="token">Cancels the call.</param>
    /// <returns>A copy of the value; null when there is none.</returns>
    public Task<byte[]?> GetAsync(string key, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (token.IsCancellationRequested)
        {
            return Task.FromCanceled<byte[]?>(token);
        }

        return !_entries.TryFind(key, GetOperation, out var value, out var touch) ? Task.FromResult<byte[]?>(null)
            : value.IsLarge || touch is not null ? Awaited(value, touch, token)
            : Task.FromResult<byte[]?>(value.GetBytes().ToArray());

        async Task<byte[]?> Awaited(KvValue value, Task? touch, CancellationToken token) =>
            (await ReadAsync(value, touch, token).ConfigureAwait(false))?.ToArray();
    }

    /// <summary>Reads a value into a buffer, and counts as a use of an entry that slides.</summary>
    /// <param name="key">The key.</param>
    /// <param name="destination">Takes the bytes. Nothing is written to it when there is no value.</param>
    /// <returns>Whether there is a value.</returns>
    public bool TryGet(string key, IBufferWriter<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(destination);
        if (!_entries.TryFind(key, GetOperation, out var value, out _))
        {
            return false;
        }

        if (value.IsLarge)
        {
            return TryCopyLarge(value, destination);
        }

        destination.Write(value.GetBytes().Span);
        return true;
    }

    /// <summary>Reads a value into a buffer, and counts as a use of an entry that slides.</summary>
    /// <param name="key">The key.</param>
    /// <param name="destination">Takes the bytes. Nothing is written to it when there is no value.</param>
    /// <param name="token">Cancels the call.</param>
    /// <returns>Whether there is a value.</returns>
    public ValueTask<bool> TryGetAsync(string key, IBufferWriter<byte> destination, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(destination);
        if (token.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<bool>(token);
        }

        if (!_entries.TryFind(key, GetOperation, out var value, out var touch))
        {
            return new(false);
        }

        if (value.IsLarge || touch is not null)
        {
            return Awaited(value, touch, destination, token);
        }

        destination.Write(value.GetBytes().Span);
        return new(true);

        async ValueTask<bool> Awaited(KvValue value, Task? touch, IBufferWriter<byte> destination, CancellationToken token)
        {
            // All of it, before a byte is written: the file of a large value may turn out to be damaged.
            if (await ReadAsync(value, touch, token).ConfigureAwait(false) is not { } bytes)
            {
                return false;
            }

            destination.Write(bytes.Span);
            return true;
        }
    }

    /// <summary>Writes a value. Blocks until it is as durable as the namespace is configured.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value, which is copied.</param>
    /// <param name="options">When the entry expires; without an expiration it never does.</param>
    /// <exception cref="ArgumentOutOfRangeException">The absolute expiration is not in the future.</exception>
    /// <exception cref="ArgumentException">The value is longer than <see cref="KvLimits.ValueBytesMax"/> of the namespace, by default 25 MiB. The entry that is there stays.</exception>
    public void Set(string key, byte[] value, DistributedCacheEntryOptions options)
    {
        ArgumentNullException.ThrowIfNull(value);
        Wait(SetAsync(key, value.AsMemory(), options, CancellationToken.None));
    }

    /// <summary>Writes a value. Blocks until it is as durable as the namespace is configured.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value, which is copied.</param>
    /// <param name="options">When the entry expires; without an expiration it never does.</param>
    /// <exception cref="ArgumentOutOfRangeException">The absolute expiration is not in the future.</exception>
    /// <exception cref="ArgumentException">The value is longer than <see cref="KvLimits.ValueBytesMax"/> of the namespace, by default 25 MiB. The entry that is there stays.</exception>
    public void Set(string key, ReadOnlySequence<byte> value, DistributedCacheEntryOptions options) =>
        Wait(SetAsync(key, value, options, CancellationToken.None));

    /// <summary>Writes a value.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value, which is copied before the call returns.</param>
    /// <param name="options">When the entry expires; without an expiration it never does.</param>
    /// <param name="token">Cancels the call before the value is written.</param>
    /// <returns>A task that completes when the value is as durable as the namespace is configured.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The absolute expiration is not in the future.</exception>
    /// <exception cref="ArgumentException">The value is longer than <see cref="KvLimits.ValueBytesMax"/> of the namespace, by default 25 MiB. The entry that is there stays.</exception>
    public Task SetAsync(string key, byte[] value, DistributedCacheEntryOptions options, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(value);
        return SetAsync(key, value.AsMemory(), options, token).AsTask();
    }

    /// <summary>Writes a value.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">The value, which is copied before the call returns.</param>
    /// <param name="options">When the entry expires; without an expiration it never does.</param>
    /// <param name="token">Cancels the call before the value is written.</param>
    /// <returns>A task that completes when the value is as durable as the namespace is configured.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The absolute expiration is not in the future.</exception>
    /// <exception cref="ArgumentException">The value is longer than <see cref="KvLimits.ValueBytesMax"/> of the namespace, by default 25 MiB. The entry that is there stays.</exception>
    public ValueTask SetAsync(string key, ReadOnlySequence<byte> value, DistributedCacheEntryOptions options, CancellationToken token = default)
    {
        if (value.IsSingleSegment)
        {
            return SetAsync(key, value.First, options, token);
        }

        _entries.CheckLength(value.Length, nameof(value));
        var length = (int)value.Length;
        var joined = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            value.CopyTo(joined);

            // The store copies bytes before it returns.
            return SetAsync(key, joined.AsMemory(0, length), options, token);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(joined);
        }
    }

    /// <summary>Counts as a use of an entry that slides, without reading its value. Does nothing for another entry, or where there is none.</summary>
    /// <param name="key">The key.</param>
    public void Refresh(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        _ = _entries.TryFind(key, RefreshOperation, out var value, out _, reads: false);
        value.Dispose();
    }

    /// <summary>Counts as a use of an entry that slides, without reading its value. Does nothing for another entry, or where there is none.</summary>
    /// <param name="key">The key.</param>
    /// <param name="token">Cancels the call.</param>
    /// <returns>A task that completes when the use counts, and the store has learned of it where it has to.</returns>
    public Task RefreshAsync(string key, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (token.IsCancellationRequested)
        {
            return Task.FromCanceled(token);
        }

        _ = _entries.TryFind(key, RefreshOperation, out var value, out var touch, reads: false);
        value.Dispose();
        return touch ?? Task.CompletedTask;
    }

    /// <summary>Removes an entry, if there is one. Blocks until that is as durable as the namespace is configured.</summary>
    /// <param name="key">The key.</param>
    public void Remove(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        Wait(_entries.RemoveAsync(key, CancellationToken.None));
    }

    /// <summary>Removes an entry, if there is one.</summary>
    /// <param name="key">The key.</param>
    /// <param name="token">Cancels the call before the entry is removed.</param>
    /// <returns>A task that completes when that is as durable as the namespace is configured.</returns>
    public Task RemoveAsync(string key, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(key);
        return token.IsCancellationRequested ? Task.FromCanceled(token) : _entries.RemoveAsync(key, token).AsTask();
    }

    /// <summary>Saves when entries that slide were last used, so that a restart changes nothing. The namespace is disposed afterwards, by its owner.</summary>
    /// <returns>A task that completes when they are saved.</returns>
    public ValueTask DisposeAsync() => Interlocked.Exchange(ref _isDisposed, 1) == 0 ? _entries.SaveAsync() : default;

    /// <summary>As <see cref="DisposeAsync"/>, for containers that are disposed synchronously. Blocks until the uses are saved.</summary>
    public void Dispose() => Wait(DisposeAsync());

    private ValueTask SetAsync(string key, ReadOnlyMemory<byte> value, DistributedCacheEntryOptions options, CancellationToken token)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(options);
        var expiration = EntryExpiration.From(options, _entries.Now);
        return token.IsCancellationRequested ? ValueTask.FromCanceled(token) : _entries.SetAsync(key, value, expiration, token);
    }

    private bool TryCopyLarge(KvValue value, IBufferWriter<byte> destination)
    {
        using (value)
        {
            ReadOnlyMemory<byte> bytes;
            try
            {
                bytes = value.GetBytes();
            }
            catch (Exception e) when (StoreFailures.IsOne(e))
            {
                _entries.ReportRead(GetOperation, e);
                return false;
            }

            _entries.ReportRead(value, GetOperation);
            destination.Write(bytes.Span);
            return true;
        }
    }

    // Null when the value could not be read. A touch that was begun completes before the read does, so that a caller who waits longer than the
    // window finds what the store has made of it.
    private async ValueTask<ReadOnlyMemory<byte>?> ReadAsync(KvValue value, Task? touch, CancellationToken token)
    {
        using (value)
        {
            try
            {
                var bytes = await value.ReadBytesAsync(token).ConfigureAwait(false);
                _entries.ReportRead(value, GetOperation);
                await (touch ?? Task.CompletedTask).ConfigureAwait(false);
                return bytes;
            }
            catch (Exception e) when (StoreFailures.IsOne(e))
            {
                _entries.ReportRead(GetOperation, e);
                return null;
            }
        }
    }

    // The interface is synchronous. The store completes writes on threads of its own, and does not need this one.
    private static void Wait(ValueTask write)
    {
        if (write.IsCompleted)
        {
            write.GetAwaiter().GetResult();
        }
        else
        {
            write.AsTask().GetAwaiter().GetResult();
        }
    }
}
