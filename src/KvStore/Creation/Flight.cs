using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using KvStore.Json;

namespace KvStore.Creation;

/// <summary>One call of the factory for one key, and the callers who wait for it.</summary>
/// <remarks>
/// <para>It is under way, then ended. In between it is abandoned when the last caller has left: its token is cancelled, and nobody joins it
/// any more. A refresh in the background counts as a caller who never leaves.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
/// <param name="key">The key.</param>
[SuppressMessage("Design", "CA1001", Justification = "The source of the token has no timer and no wait handle, so there is nothing to dispose.")]
internal abstract class Flight(string key)
{
    private static readonly AsyncLocal<Flight?> s_current = new();

    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _cancellation = new();
    private int _callers = 1;
    private bool _isAbandoned;
    private bool _isEnded;

    /// <summary>The flight whose factory this code was called by; null for none.</summary>
    public static Flight? Current => s_current.Value;

    /// <summary>The key.</summary>
    public string Key => key;

    /// <summary>Cancelled when the last caller has left.</summary>
    public CancellationToken Token => _cancellation.Token;

    /// <summary>Completes, possibly with an exception, when the flight has ended.</summary>
    public abstract Task Ended { get; }

    /// <summary>Whether the flight has ended.</summary>
    public bool IsEnded => Volatile.Read(ref _isEnded);

    /// <summary>Adds a caller, who calls <see cref="Leave"/> later.</summary>
    /// <returns>False when the flight was abandoned or has ended.</returns>
    public bool TryJoin()
    {
        lock (_lock)
        {
            if (_isAbandoned || _isEnded)
            {
                return false;
            }

            _callers++;
            return true;
        }
    }

    /// <summary>Removes a caller. The last one abandons the flight, if it has not ended.</summary>
    public void Leave()
    {
        lock (_lock)
        {
            Debug.Assert(_callers > 0);
            if (--_callers == 0 && !_isEnded)
            {
                _isAbandoned = true;
                Cancel();
            }
        }
    }

    /// <summary>Cancels the token, also while callers wait. What the factory has registered runs on other threads.</summary>
    public void Cancel() => _ = _cancellation.CancelAsync();

    /// <summary>Code that is called from here to the end of the calling async method knows the flight as <see cref="Current"/>.</summary>
    public void MakeCurrent() => s_current.Value = this;

    /// <summary>Nobody joins any more.</summary>
    public void End()
    {
        lock (_lock)
        {
            _isEnded = true;
        }
    }
}

/// <summary>A flight for a value of one type.</summary>
internal sealed class Flight<T>(string key) : Flight(key)
{
    private readonly TaskCompletionSource<FlightResult<T>> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <inheritdoc/>
    public override Task Ended => _result.Task;

    /// <summary>What the callers wait for.</summary>
    public Task<FlightResult<T>> Result => _result.Task;

    /// <summary>Completes <see cref="Result"/>. Requires: <see cref="Flight.End"/> was called.</summary>
    public void Succeed(FlightResult<T> result)
    {
        Debug.Assert(IsEnded);
        _result.SetResult(result);
    }

    /// <summary>Completes <see cref="Result"/> with an exception. Requires: <see cref="Flight.End"/> was called.</summary>
    public void Fail(Exception exception)
    {
        Debug.Assert(IsEnded);

        // Also an OperationCanceledException of the factory's own, for example of a time limit, reaches the callers as it is.
        _result.SetException(exception);

        // Where no caller waits any more, nobody looks at it.
        _ = _result.Task.Exception;
    }
}

/// <summary>What a flight found or created.</summary>
/// <param name="value">The value.</param>
/// <param name="utf8">The value as JSON; null where all callers may have the same object.</param>
internal sealed class FlightResult<T>(T value, byte[]? utf8)
{
    /// <summary>The value, for the caller who called the factory.</summary>
    public T Value => value;

    /// <summary>Whether several callers may have the same object, because nobody can change it.</summary>
    public static bool IsShared(T value) => value is null || (ImmutableType<T>.IsProven && value.GetType() == typeof(T));

    /// <summary>The value for another caller: a copy where objects can be changed, so that no caller sees what another one changes.</summary>
    /// <param name="reader">How the caller reads.</param>
    public T ForAnother(JsonOf<T> reader) => IsShared(value) ? value : reader.Read(utf8);
}
