namespace KvStore.Updates;

/// <summary>
/// The order in which updates of one key try again: without it, an update whose function takes long would be overtaken by quick ones for
/// ever.
/// </summary>
/// <remarks>
/// <para>An update tries at once when nobody waits, and queues up when another write came between, or when others wait already. The order
/// is advice: conditions alone keep updates right. So nobody waits longer than <see cref="s_longest"/> for a turn, and functions
/// that update other keys cannot block each other for ever. Keys share queues by hash.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal static class UpdateTurns
{
    private const int Queues = 256;

    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(1);
    private static readonly SemaphoreSlim[] s_queues = [.. Enumerable.Range(0, Queues).Select(_ => new SemaphoreSlim(1))];

    /// <summary>The queue of a key.</summary>
    public static SemaphoreSlim QueueOf(string key) => s_queues[(uint)key.GetHashCode(StringComparison.Ordinal) % Queues];

    /// <summary>Whether somebody has the turn, so that others queue up.</summary>
    public static bool IsTaken(SemaphoreSlim queue) => queue.CurrentCount == 0;

    /// <summary>Waits for the turn, which the caller releases if it got it.</summary>
    /// <returns>Whether it got it.</returns>
    public static Task<bool> TakeAsync(SemaphoreSlim queue, CancellationToken cancellationToken) => queue.WaitAsync(s_longest, cancellationToken);
}
