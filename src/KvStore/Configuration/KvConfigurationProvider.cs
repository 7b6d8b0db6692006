using System.Diagnostics;
using KvStore.Rules;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace KvStore.Configuration;

/// <summary>Configuration that is read from the entries of a namespace, and again when they change.</summary>
/// <remarks>
/// <para>One reader at a time shows the namespace to the provider (<see cref="NamespaceReader"/>). Its results replace each other as a
/// whole, so that nobody sees half of a change.</para>
/// <para>Thread safety: all members, from any thread, apart from <see cref="ConfigurationProvider.Set"/>, which is not safe in any
/// provider of the framework.</para>
/// </remarks>
/// <param name="source">The source that built this.</param>
/// <param name="name">The name of the namespace.</param>
/// <param name="options">How entries become configuration.</param>
/// <param name="open">Opens the namespace, or returns null when it cannot be opened and is optional.</param>
/// <param name="count">Counts a request: the operation and the outcome.</param>
/// <param name="logger">The log.</param>
internal sealed class KvConfigurationProvider(
    IConfigurationSource source,
    string name,
    KvConfigurationOptions options,
    Func<NamespaceLease<IKvExtendedNamespace>?> open,
    Action<string, string> count,
    ILogger logger) : ConfigurationProvider, IDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, long> _broken = new(StringComparer.Ordinal);
    private NamespaceLease<IKvExtendedNamespace>? _lease;
    private NamespaceReader? _reader;
    private HashSet<(string Loser, string Winner)> _collisions = [];
    private bool _isDisposed;

    /// <summary>The source that built this.</summary>
    public IConfigurationSource Source => source;

    /// <summary>The namespace that the values come from; null when there is none.</summary>
    public IKvExtendedNamespace? Namespace => Current()?.Namespace;

    /// <summary>What the debug view of a configuration shows beside a value.</summary>
    public override string ToString() => $"{nameof(KvConfigurationProvider)} for {name}, prefix {VisibleKey.Quote(options.Prefix)}";

    /// <summary>Reads all values. Blocks until they are read, because the framework's method is synchronous.</summary>
    public override void Load()
    {
        if (Namespace is { } current)
        {
            LoadAgain(current);
        }
        else if (open() is { } lease)
        {
            try
            {
                ReadAsync(lease.Namespace, isReload: false).GetAwaiter().GetResult();
            }
            catch
            {
                Forget();
                Release(lease);
                throw;
            }

            Keep(lease);
        }
    }

    /// <summary>Takes the values from another namespace from now on.</summary>
    /// <returns>A task that completes when the configuration has its values.</returns>
    public async Task FollowAsync(IKvExtendedNamespace kv)
    {
        await ReadAsync(kv, isReload: true).ConfigureAwait(false);
        NamespaceLease<IKvExtendedNamespace>? lease;
        lock (_lock)
        {
            lease = _lease?.Namespace == kv ? null : _lease;
            _lease = lease is null ? _lease : null;
        }

        if (lease is not null)
        {
            await lease.DisposeAsync().ConfigureAwait(false);
        }
    }

    public void Dispose()
    {
        NamespaceLease<IKvExtendedNamespace>? lease;
        lock (_lock)
        {
            _isDisposed = true;
            lease = _lease;
            _lease = null;
        }

        Forget();
        if (lease is not null)
        {
            Release(lease);
        }
    }

    /// <summary>Replaces all values by those of a reader, unless another reader was started after it.</summary>
    /// <param name="reader">The reader.</param>
    /// <param name="entries">What it has read.</param>
    /// <param name="isReload">Whether code that waits for changes is called.</param>
    /// <returns>False when the reader was replaced.</returns>
    internal bool Publish(NamespaceReader reader, ConfigurationEntries entries, bool isReload)
    {
        var values = entries.Merge(out var collisions);
        lock (_lock)
        {
            if (_reader != reader)
            {
                return false;
            }

            if (isReload && HasValues(values))
            {
                return true;
            }

            LogCollisionsHoldingLock(collisions);
            Data = values;
        }

        count("load", "ok");
        if (!isReload)
        {
            return true;
        }

        try
        {
            OnReload();
        }
        catch (Exception e)
        {
            // It is code of the application, for example the validation of its options. The next change must be seen all the same.
            logger.ConfigurationCallbackFailed(name, e);
        }

        return true;
    }

    private void LoadAgain(IKvExtendedNamespace kv)
    {
        try
        {
            ReadAsync(kv, isReload: false).GetAwaiter().GetResult();
        }
        catch (ObjectDisposedException)
        {
            // The application is ending, or has disposed the namespace that it gave. The values stay.
        }
    }

    private void Forget()
    {
        lock (_lock)
        {
            _reader?.Dispose();
            _reader = null;
        }
    }

    private void Keep(NamespaceLease<IKvExtendedNamespace> lease)
    {
        lock (_lock)
        {
            if (!_isDisposed)
            {
                Debug.Assert(_lease is null, "The namespace is opened once.");
                _lease = lease;
                return;
            }
        }

        Release(lease);
    }

    /// <summary>Notes that a version of an entry cannot be read.</summary>
    /// <returns>Whether it was not known. Two readers may come to it, one of which replaces the other.</returns>
    internal bool TryNoteBroken(string key, long revision)
    {
        lock (_lock)
        {
            var isKnown = _broken.TryGetValue(key, out var known) && known == revision;
            _broken[key] = revision;
            return !isKnown;
        }
    }

    /// <summary>Notes that an entry can be read, or is gone.</summary>
    internal void ForgetBroken(string key)
    {
        lock (_lock)
        {
            _broken.Remove(key);
        }
    }

    private static void Release(NamespaceLease<IKvExtendedNamespace> lease)
    {
        // Blocks as KvNamespace.Dispose does: a return before everything is on the disk would lose writes.
        lease.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    private async Task ReadAsync(IKvExtendedNamespace kv, bool isReload)
    {
        var reader = Start(kv, isReload);
        while (true)
        {
            try
            {
                await reader.Loaded.ConfigureAwait(false);
                return;
            }
            catch (OperationCanceledException)
            {
                // A reader that was started later has stopped it, and reads everything that this one would have read.
                reader = Current() ?? throw new ObjectDisposedException(nameof(KvConfigurationProvider));
            }
        }
    }

    private NamespaceReader Start(IKvExtendedNamespace kv, bool isReload)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            var reader = new NamespaceReader(this, kv, options, _reader, count, logger, isReload);
            _reader?.Dispose();
            _reader = reader;
            reader.Start();
            return reader;
        }
    }

    private NamespaceReader? Current()
    {
        lock (_lock)
        {
            return _reader;
        }
    }

    // Looks up and enumerates nothing, because Set may change the values meanwhile.
    private bool HasValues(Dictionary<string, string?> values)
    {
        if (Data.Count != values.Count)
        {
            return false;
        }

        foreach (var (path, value) in values)
        {
            if (!Data.TryGetValue(path, out var current) || current != value)
            {
                return false;
            }
        }

        return true;
    }

    // Each collision is logged once, and again when it comes back.
    private void LogCollisionsHoldingLock(HashSet<(string Loser, string Winner)> collisions)
    {
        const int LoggedMax = 20;
        var logged = 0;
        foreach (var collision in collisions)
        {
            if (!_collisions.Contains(collision) && logged++ < LoggedMax)
            {
                logger.ConfigurationKeysCollide(collision.Loser, collision.Winner, name);
            }
        }

        _collisions = collisions;
    }
}
