using System.Diagnostics;
using KvStore.Rules;

namespace KvStore.Creation;

/// <summary>
/// Which factories wait for which others, so that factories that would wait for each other for ever are an exception.
/// </summary>
/// <remarks>Only calls that a factory makes are entered. Thread safety: all members, from any thread.</remarks>
internal static class FlightWaits
{
    private static readonly Lock s_lock = new();
    private static readonly List<(Flight Waiter, Flight Target)> s_waits = [];

    /// <summary>Enters that the calling factory, if there is one, waits for a flight.</summary>
    /// <returns>The factory's flight, for <see cref="End"/>; null where the caller is no factory.</returns>
    /// <exception cref="InvalidOperationException">The flight waits for the calling factory.</exception>
    public static Flight? Begin(Flight target, string namespaceName)
    {
        if (Flight.Current is not { IsEnded: false } waiter)
        {
            return null;
        }

        lock (s_lock)
        {
            if (Leads(target, waiter, []))
            {
                throw new InvalidOperationException(
                    $"The factory for the key {VisibleKey.Quote(waiter.Key)} asks for the key {VisibleKey.Quote(target.Key)} in the namespace {VisibleKey.Quote(namespaceName)}, which waits for that factory. Neither would ever end.");
            }

            s_waits.Add((waiter, target));
            return waiter;
        }
    }

    /// <summary>Ends what <see cref="Begin"/> began.</summary>
    public static void End(Flight? waiter, Flight target)
    {
        if (waiter is not null)
        {
            lock (s_lock)
            {
                s_waits.Remove((waiter, target));
            }
        }
    }

    // Whether the one flight waits for the other, directly or through others.
    private static bool Leads(Flight from, Flight to, HashSet<Flight> visited)
    {
        Debug.Assert(s_lock.IsHeldByCurrentThread);
        return from == to
            || (visited.Add(from) && s_waits.Exists(wait => wait.Waiter == from && Leads(wait.Target, to, visited)));
    }
}
