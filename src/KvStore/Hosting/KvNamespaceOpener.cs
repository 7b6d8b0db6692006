using KvStore.Rules;

namespace KvStore.Hosting;

/// <summary>
/// Opens each namespace of a container once, whoever asks first: the host before its first service starts, or whoever needs
/// it where there is no host.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class KvNamespaceOpener(IServiceProvider services, KvNamespaceRegistry registry) : IAsyncDisposable, IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Task<KvNamespace>> _opened = new(StringComparer.Ordinal);
    private bool _isDisposed;

    /// <summary>The namespaces that have been opened.</summary>
    public IReadOnlyList<KvNamespace> Opened
    {
        get
        {
            lock (_gate)
            {
                return [.. _opened.Values.Where(task => task.IsCompletedSuccessfully).Select(task => task.Result)];
            }
        }
    }

    /// <summary>Opens a namespace, or waits for it to be open. What has failed is tried again.</summary>
    public Task<KvNamespace> OpenAsync(string name, CancellationToken cancellationToken = default)
    {
        lock (_gate)
        {
            if (_isDisposed)
            {
                throw DisposedNamespace.Exception(name);
            }

            if (!_opened.TryGetValue(name, out var task) || task.IsFaulted || task.IsCanceled)
            {
                task = registry.OpenAsync(services, name, cancellationToken);
                _opened[name] = task;
            }

            return task;
        }
    }

    /// <summary>The namespace; blocks until it is open, where nobody has opened it before.</summary>
    public KvNamespace Open(string name)
    {
        // A container makes its services synchronously. With a host this is done long before; what is waited for otherwise
        // runs on the thread pool and needs no thread of the caller's.
        return OpenAsync(name).GetAwaiter().GetResult();
    }

    public async ValueTask DisposeAsync()
    {
        List<Exception>? failures = null;
        foreach (var task in TakeAll())
        {
            try
            {
                var kv = await task.ConfigureAwait(false);
                await kv.DisposeAsync().ConfigureAwait(false);
            }
            catch (Exception e)
            {
                // The others have writes to save too. One that could not be opened has been told to whoever asked for it.
                if (!task.IsFaulted && !task.IsCanceled)
                {
                    (failures ??= []).Add(e);
                }
            }
        }

        if (failures is not null)
        {
            throw failures.Count == 1 ? failures[0] : new AggregateException(failures);
        }
    }

    public void Dispose()
    {
        // As with KvNamespace.Dispose: returning before everything is on the disk would lose it.
        DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    private List<Task<KvNamespace>> TakeAll()
    {
        lock (_gate)
        {
            _isDisposed = true;
            List<Task<KvNamespace>> all = [.. _opened.Values];
            _opened.Clear();
            return all;
        }
    }
}
