using KvStore.Configuration;
using KvStore.Rules;

namespace KvStore.Hosting;

/// <summary>
/// Opens each namespace of a container once: the host opens it before its first service starts; without a host, the first caller that
/// resolves it.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class KvNamespaceOpener(IServiceProvider services, KvNamespaceRegistry registry) : IAsyncDisposable, IDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Task<NamespaceLease<KvNamespace>>> _opened = new(StringComparer.Ordinal);
    private Action? _detachLog;
    private bool _isDisposed;

    /// <summary>The namespaces that have been opened.</summary>
    public IReadOnlyList<KvNamespace> Opened
    {
        get
        {
            lock (_lock)
            {
                return [.. _opened.Values.Where(task => task.IsCompletedSuccessfully).Select(task => task.Result.Namespace)];
            }
        }
    }

    /// <summary>Opens a namespace, or returns the task that opens it. When opening failed, the next call tries again.</summary>
    public async Task<KvNamespace> OpenAsync(string name, CancellationToken cancellationToken = default) =>
        (await LeaseAsync(name, cancellationToken).ConfigureAwait(false)).Namespace;

    /// <summary>Returns a namespace. Blocks until it is open.</summary>
    public KvNamespace Open(string name)
    {
        // A container creates services synchronously. With a host the namespace is open by now. Without a host this waits for
        // work on the thread pool, which does not need the thread of the caller.
        return OpenAsync(name).GetAwaiter().GetResult();
    }

    public async ValueTask DisposeAsync()
    {
        List<Exception>? failures = null;
        foreach (var task in TakeAll())
        {
            try
            {
                var lease = await task.ConfigureAwait(false);
                await lease.DisposeAsync().ConfigureAwait(false);
            }
            catch (Exception e)
            {
                // Continue, because the other namespaces have writes to flush. The caller of OpenAsync has the exception of a
                // namespace that could not be opened.
                if (!task.IsFaulted && !task.IsCanceled)
                {
                    (failures ??= []).Add(e);
                }
            }
        }

        // The log ends with the container; the configuration may outlive it.
        Interlocked.Exchange(ref _detachLog, null)?.Invoke();
        if (failures is not null)
        {
            throw failures.Count == 1 ? failures[0] : new AggregateException(failures);
        }
    }

    public void Dispose()
    {
        // Blocks as KvNamespace.Dispose does: a return before everything is on the disk would lose writes.
        DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    private Task<NamespaceLease<KvNamespace>> LeaseAsync(string name, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            if (_isDisposed)
            {
                throw DisposedNamespace.Exception(name);
            }

            if (!_opened.TryGetValue(name, out var task) || task.IsFaulted || task.IsCanceled)
            {
                _detachLog ??= ConfiguredNamespaces.AttachLog(services);
                task = registry.OpenAsync(services, name, cancellationToken);
                _opened[name] = task;
            }

            return task;
        }
    }

    private List<Task<NamespaceLease<KvNamespace>>> TakeAll()
    {
        lock (_lock)
        {
            _isDisposed = true;
            List<Task<NamespaceLease<KvNamespace>>> all = [.. _opened.Values];
            _opened.Clear();
            return all;
        }
    }
}
