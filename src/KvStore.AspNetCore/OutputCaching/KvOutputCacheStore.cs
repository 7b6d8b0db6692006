using System.Buffers;
using System.IO.Pipelines;
using KvStore.Adapters;
using KvStore.Keys;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvStore.OutputCaching;

/// <summary>Keeps the pages of the output cache in a namespace.</summary>
/// <remarks>
/// A failure of the namespace never reaches a request: the page is made anew, or not cached, and the failure is logged. Thread safety: all
/// members, from any thread.
/// </remarks>
internal sealed class KvOutputCacheStore : IOutputCacheBufferStore, IDisposable
{
    private readonly IServiceProvider _services;
    private readonly KvAdapter _adapter;
    private readonly EntryKeys _keys;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly LogRate _readRate;
    private readonly LogRate _writeRate;
    private readonly TagWatch _watch;
    private readonly TagEvictions _evictions;
    private IKvExtendedNamespace? _namespace;

    public KvOutputCacheStore(IServiceProvider services, KvAdapter adapter)
    {
        _services = services;
        _adapter = adapter;
        _keys = new EntryKeys(adapter.Prefix);
        _time = services.GetService<TimeProvider>() ?? TimeProvider.System;
        _logger = services.GetService<ILoggerFactory>()?.CreateLogger(OutputCacheLog.Category) ?? NullLogger.Instance;
        _readRate = new LogRate(_time);
        _writeRate = new LogRate(_time);
        _watch = new TagWatch(() => Namespace, adapter.Prefix);
        _evictions = new TagEvictions(() => Namespace, _watch, adapter, _logger);
    }

    /// <summary>The index of tags; null when no tag was used yet.</summary>
    internal TagIndex? Index => _watch.Index;

    // Resolved at the first request. The container has one instance.
    private IKvExtendedNamespace Namespace => _namespace ??= _adapter.GetNamespace<IKvExtendedNamespace>(_services);

    public async ValueTask<byte[]?> GetAsync(string key, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        var page = await ReadAsync(key, cancellationToken).ConfigureAwait(false);
        return page?.ToArray();
    }

    public async ValueTask<bool> TryGetAsync(string key, PipeWriter destination, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(destination);
        if (await ReadAsync(key, cancellationToken).ConfigureAwait(false) is not { } page)
        {
            return false;
        }

        await destination.WriteAsync(page, cancellationToken).ConfigureAwait(false);
        return true;
    }

    public ValueTask SetAsync(string key, byte[] value, string[]? tags, TimeSpan validFor, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(value);
        return SetAsync(key, new ReadOnlySequence<byte>(value), tags, validFor, cancellationToken);
    }

    public ValueTask SetAsync(
        string key, ReadOnlySequence<byte> value, ReadOnlyMemory<string> tags, TimeSpan validFor, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (validFor <= TimeSpan.Zero)
        {
            throw new ArgumentOutOfRangeException(nameof(validFor), validFor, "A page must be valid for longer than 0.");
        }

        cancellationToken.ThrowIfCancellationRequested();
        return StoreAsync(_keys.Of(key), value, TagNames.Of(tags.Span), ExactDeadline.After(validFor, _time.GetUtcNow()), cancellationToken);
    }

    public async ValueTask EvictByTagAsync(string tag, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(tag);
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            // From here on it is not cancelled: a tag is evicted as a whole.
            var index = await _watch.LoadAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
            var succeeded = await _evictions.EvictAsync(index, TagNames.Of(tag)).ConfigureAwait(false);
            _adapter.CountRequest("evict", succeeded ? "ok" : "error");
        }
        catch (Exception e) when (StoreFailure.Is(e))
        {
            _adapter.CountRequest("evict", "error");
            _logger.TagsUnreadable(_adapter.Namespace, e);
        }
    }

    public void Dispose() => _watch.Dispose();

    private async ValueTask<ReadOnlyMemory<byte>?> ReadAsync(string key, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            // Both before and after the entry is read: once a page was skipped because its tag is being evicted, no later read finds it.
            var evicted = _watch.Index?.EvictedThrough;
            using var value = await Namespace.GetAsync(_keys.Of(key), cancellationToken: cancellationToken).ConfigureAwait(false);
            if (!value.Exists || !PageHeader.TryRead(value.Metadata, tags: null, out var header) || header.Until.HasPassed(_time.GetUtcNow()))
            {
                _adapter.CountRequest("get", "miss");
                return null;
            }

            var bytes = await value.ReadBytesAsync(cancellationToken).ConfigureAwait(false);
            if (header.TagBytes > bytes.Length
                || IsEvicted(value.Metadata, bytes, header, evicted)
                || IsEvicted(value.Metadata, bytes, header, _watch.Index?.EvictedThrough))
            {
                _adapter.CountRequest("get", "miss");
                return null;
            }

            _adapter.CountRequest("get", "hit");
            return bytes[header.TagBytes..];
        }
        catch (Exception e) when (StoreFailure.Is(e))
        {
            _adapter.CountRequest("get", "error");
            if (_readRate.Allows(out var suppressed))
            {
                _logger.ReadFailed(_adapter.Namespace, suppressed, e);
            }

            return null;
        }
    }

    private static bool IsEvicted(KvMetadata metadata, ReadOnlyMemory<byte> value, in PageHeader header, IReadOnlyDictionary<string, long>? evicted)
    {
        if (evicted is null)
        {
            return false;
        }

        var tags = new List<string>();
        if (!PageHeader.TryRead(metadata, tags, out _) || (header.TagBytes > 0 && !header.TryReadValueTags(value.Span, tags)))
        {
            return true;
        }

        foreach (var tag in tags)
        {
            if (evicted.TryGetValue(tag, out var through) && header.SetNumber <= through)
            {
                return true;
            }
        }

        return false;
    }

    private async ValueTask StoreAsync(
        string key, ReadOnlySequence<byte> value, string[] tags, ExactDeadline until, CancellationToken cancellationToken)
    {
        byte[]? rented = null;
        try
        {
            // The caller may use the memory of the value again when the call returns. A namespace copies bytes when a put is called;
            // where something is awaited before, or the value is in pieces, they are copied here.
            var index = tags.Length > 0 ? _watch.Index : null;
            ReadOnlyMemory<byte> bytes;
            if (value.IsSingleSegment && (tags.Length == 0 || index is not null))
            {
                bytes = value.First;
            }
            else
            {
                var length = checked((int)value.Length);
                rented = ArrayPool<byte>.Shared.Rent(length);
                value.CopyTo(rented);
                bytes = rented.AsMemory(0, length);
            }

            if (tags.Length == 0)
            {
                var metadata = PageHeader.Write(until, setNumber: 0, tags, out _);
                await PutAsync(key, bytes, metadata, until, cancellationToken).ConfigureAwait(false);
            }
            else
            {
                index ??= await _watch.LoadAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
                await StoreTaggedAsync(index, key, bytes, tags, until, cancellationToken).ConfigureAwait(false);
            }

            _adapter.CountRequest("set", "ok");
        }
        catch (Exception e) when (StoreFailure.Is(e))
        {
            _adapter.CountRequest("set", "error");
            if (_writeRate.Allows(out var suppressed))
            {
                _logger.WriteFailed(_adapter.Namespace, suppressed, e);
            }
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }
    }

    private async ValueTask StoreTaggedAsync(
        TagIndex index, string key, ReadOnlyMemory<byte> bytes, string[] tags, ExactDeadline until, CancellationToken cancellationToken)
    {
        var write = index.Begin(key, tags);
        var succeeded = false;
        byte[]? joined = null;
        try
        {
            var metadata = PageHeader.Write(until, write.Number, tags, out var valueTags);
            if (valueTags.Length > 0)
            {
                joined = ArrayPool<byte>.Shared.Rent(valueTags.Length + bytes.Length);
                valueTags.CopyTo(joined);
                bytes.CopyTo(joined.AsMemory(valueTags.Length));
                bytes = joined.AsMemory(0, valueTags.Length + bytes.Length);
            }

            await PutAsync(key, bytes, metadata, until, cancellationToken).ConfigureAwait(false);
            succeeded = true;
        }
        finally
        {
            if (joined is not null)
            {
                ArrayPool<byte>.Shared.Return(joined);
            }

            if (index.End(key, write, succeeded, out var evictions))
            {
                await _watch.SettleAsync(index, key).ConfigureAwait(false);
            }

            await _evictions.DeleteAsync(index, key, evictions).ConfigureAwait(false);
        }

        // The namespace takes writes.
        await _evictions.RetryAsync(index).ConfigureAwait(false);
    }

    private ValueTask PutAsync(string key, ReadOnlyMemory<byte> bytes, KvMetadata metadata, ExactDeadline until, CancellationToken cancellationToken) =>
        Namespace.PutAsync(
            key,
            KvContent.FromBytes(bytes),
            new KvPutOptions { ExpirationTtl = until.TimeToLive(_time.GetUtcNow()), Metadata = metadata },
            cancellationToken);
}
