namespace KvStore.Diagnostics;

/// <summary>
/// Notifies namespaces when an observer comes or goes. .NET raises no event for that, so a timer checks ten times a second while there
/// are namespaces.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal static class ObserverWatch
{
    // Between two ticks a namespace may have seen an observer that has left again, so all namespaces are notified once a second.
    private const int TicksBetweenNotifications = 10;

    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(100);
    private static readonly Lock s_lock = new();
    private static ITimer? s_timer;
    private static bool s_isRunning;
    private static bool s_wasObserved;
    private static int s_ticksToNotification = TicksBetweenNotifications;

    /// <summary>Starts the timer. Called for every namespace. The timer stops when there is no namespace any more.</summary>
    public static void Start()
    {
        lock (s_lock)
        {
            if (!s_isRunning)
            {
                s_isRunning = true;
                s_timer ??= TimeProvider.System.CreateTimer(
                    static _ => Tick(), state: null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
                s_timer.Change(s_interval, s_interval);
            }
        }
    }

    private static void Tick()
    {
        lock (s_lock)
        {
            var isObserved = KvMetrics.IsObserved;
            if (isObserved == s_wasObserved && --s_ticksToNotification > 0)
            {
                return;
            }

            s_wasObserved = isObserved;
            s_ticksToNotification = TicksBetweenNotifications;
            if (!KvMetrics.HasNamespaces)
            {
                s_isRunning = false;
                s_timer!.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
                return;
            }
        }

        KvMetrics.NoticeObservers();
    }
}
