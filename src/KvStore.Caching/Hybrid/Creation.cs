using System.Diagnostics;
using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Hybrid;

/// <summary>The call of a factory, for all callers who ask for a key at the same time.</summary>
/// <remarks>Who joins and leaves is decided under the lock of <see cref="KeyWrites"/>.</remarks>
internal abstract class Creation : KeyWrite
{
    private readonly CancellationTokenSource? _cancellation;
    private int _callers = 1;

    /// <param name="key">The key of the caller.</param>
    /// <param name="flags">The flags of the call.</param>
    /// <param name="tags">The tags of the entry.</param>
    /// <param name="canLeave">Whether the first caller can be cancelled. One who cannot waits to the end, so the factory is never cancelled.</param>
    protected Creation(string key, HybridCacheEntryFlags flags, string[] tags, bool canLeave)
        : base(key, tags)
    {
        Flags = flags;
        _cancellation = canLeave ? new CancellationTokenSource() : null;
    }

    /// <summary>The flags of its callers.</summary>
    public HybridCacheEntryFlags Flags { get; }

    /// <summary>The type of the value.</summary>
    public abstract Type Type { get; }

    /// <summary>
    /// Whether another change of the key may have ended between the look of the first caller and the beginning, so that the value may be there. Other
    /// writers of the namespace do not matter: the first caller has looked.
    /// </summary>
    public bool MayBeThere { get; init; }

    /// <summary>Whether callers may join.</summary>
    public bool IsOpen { get; private set; } = true;

    /// <summary>Cancelled when the last caller has left.</summary>
    public CancellationToken Token => _cancellation?.Token ?? CancellationToken.None;

    /// <summary>Adds a caller.</summary>
    public bool TryJoin()
    {
        if (IsOpen)
        {
            _callers++;
        }

        return IsOpen;
    }

    /// <summary>A caller leaves.</summary>
    /// <returns>Whether it was the last one; then nobody joins any more.</returns>
    public bool Leave()
    {
        if (--_callers == 0)
        {
            Detach();
            return true;
        }

        return false;
    }

    /// <summary>Cancels the factory. What it has registered with its token runs elsewhere, so that it cannot fail the caller who leaves.</summary>
    public void Cancel() => _ = _cancellation?.CancelAsync();

    public override void Detach() => IsOpen = false;
}

/// <summary>The call of a factory for a value of one type.</summary>
/// <typeparam name="T">The type.</typeparam>
internal sealed class Creation<T>(string key, HybridCacheEntryFlags flags, string[] tags, bool canLeave) : Creation(key, flags, tags, canLeave)
{
    private readonly Lock _lock = new();
    private Created<T> _outcome;
    private bool _isSuccess;

    // Made when somebody waits, or it failed: most creations of memory-speed factories end before their only caller looks.
    private TaskCompletionSource<Created<T>>? _created;

    public override Type Type => typeof(T);

    /// <summary>Its outcome.</summary>
    public Task<Created<T>> Task
    {
        get
        {
            lock (_lock)
            {
                return _isSuccess && _created is null ? System.Threading.Tasks.Task.FromResult(_outcome) : CreatedHoldingLock().Task;
            }
        }
    }

    /// <summary>The outcome, where it has succeeded already.</summary>
    public bool TryGet(out Created<T> created)
    {
        lock (_lock)
        {
            created = _outcome;
            return _isSuccess;
        }
    }

    /// <summary>Gives the value to the callers.</summary>
    public void Complete(Created<T> created)
    {
        TaskCompletionSource<Created<T>>? waited;
        lock (_lock)
        {
            _outcome = created;
            _isSuccess = true;
            waited = _created;
        }

        waited?.TrySetResult(created);
    }

    /// <summary>Gives an exception to the callers.</summary>
    public void Fail(Exception exception)
    {
        TaskCompletionSource<Created<T>> waited;
        lock (_lock)
        {
            waited = CreatedHoldingLock();
        }

        if (exception is OperationCanceledException canceled && Token.IsCancellationRequested)
        {
            waited.TrySetCanceled(canceled.CancellationToken);
            return;
        }

        waited.TrySetException(exception);

        // Seen: perhaps all callers have left.
        _ = waited.Task.Exception;
    }

    private TaskCompletionSource<Created<T>> CreatedHoldingLock()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        return _created ??= new TaskCompletionSource<Created<T>>(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>What a creation gives to its callers.</summary>
/// <typeparam name="T">The type of the value.</typeparam>
/// <param name="value">The value, for callers who all get one object.</param>
/// <param name="payload">The serialized value, of which each caller gets an object of its own; null to give all the same one.</param>
/// <param name="serializer">Reads it.</param>
internal readonly struct Created<T>(T value, byte[]? payload = null, IHybridCacheSerializer<T>? serializer = null)
{
    /// <summary>The value for one caller.</summary>
    public T ForCaller() => payload is null ? value : serializer!.Deserialize(new(payload));
}
