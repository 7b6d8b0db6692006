using KvStore.Rules;

namespace KvStore.Updates;

/// <summary>
/// A function of a caller that runs to update a key. It must not update that key itself: the entry would never be the version that the
/// function was given, and the update would be tried for ever.
/// </summary>
/// <remarks>
/// It flows with the execution context, so tasks that the function starts are known too. Once the function has returned, they may update the
/// key. Thread safety: all members, from any thread.
/// </remarks>
internal sealed class RunningUpdate
{
    private static readonly AsyncLocal<RunningUpdate?> s_current = new();

    private readonly IKvNamespace _kv;
    private readonly string _key;
    private readonly RunningUpdate? _outer;
    private volatile bool _hasEnded;

    private RunningUpdate(IKvNamespace kv, string key, RunningUpdate? outer)
    {
        _kv = kv;
        _key = key;
        _outer = outer;
    }

    /// <summary>Checks that the caller is not the function of an update of a key, directly or through updates of other keys.</summary>
    /// <exception cref="InvalidOperationException">It is.</exception>
    public static void ThrowIfWithin(IKvNamespace kv, string key)
    {
        for (var running = s_current.Value; running is not null; running = running._outer)
        {
            if (!running._hasEnded && ReferenceEquals(running._kv, kv) && running._key == key)
            {
                throw new InvalidOperationException(
                    $"The function of an update of the key {VisibleKey.Quote(key)} in the namespace {VisibleKey.Quote(kv.Name)} updates that key itself, so the update would be tried for ever. Return the new value from the function instead.");
            }
        }
    }

    /// <summary>Calls a function that updates a key.</summary>
    public static T Call<TState, T>(IKvNamespace kv, string key, in KvValue current, TState state, Func<IKvNamespace, string, KvValue, TState, T> function)
    {
        var outer = s_current.Value;
        var running = new RunningUpdate(kv, key, outer);
        s_current.Value = running;
        try
        {
            return function(kv, key, current, state);
        }
        finally
        {
            running._hasEnded = true;
            s_current.Value = outer;
        }
    }
}
