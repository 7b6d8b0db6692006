using System.Diagnostics;

namespace KvStore.RealPartsChild;

/// <summary>
/// Ends the process when something stands still. Nothing here takes longer than a few seconds; on a machine that has much else to do,
/// or without memory, it may take many times as long.
/// </summary>
internal static class Waiting
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    public static async Task BoundedAsync(this Task task, History history, Func<string> what, int patience = 1)
    {
        try
        {
            await task.WaitAsync(s_patience * patience);
        }
        catch (TimeoutException) when (!task.IsCompleted)
        {
            history.Violation($"hang: {what()}");
            Process.GetCurrentProcess().Kill();
        }
    }

    /// <summary>The same for something that may take as long as it likes, provided that it goes on.</summary>
    /// <param name="task">What is waited for.</param>
    /// <param name="history">Where it is said that it stands still.</param>
    /// <param name="what">What stands still.</param>
    /// <param name="progress">Something that changes while it goes on.</param>
    public static async Task WhileItGoesOnAsync(this Task task, History history, string what, Func<long> progress)
    {
        for (var before = progress(); ; before = progress())
        {
            try
            {
                await task.WaitAsync(s_patience);
                return;
            }
            catch (TimeoutException) when (!task.IsCompleted)
            {
                if (progress() == before)
                {
                    history.Violation($"hang: {what}{OpenCalls(history)}");
                    Process.GetCurrentProcess().Kill();
                }
            }
        }
    }

    public static Task BoundedAsync(this Task task, History history, string what, int patience = 1) =>
        task.BoundedAsync(history, () => what + OpenCalls(history), patience);

    public static Task<T> BoundedAsync<T>(this Task<T> task, History history, string what) =>
        task.BoundedAsync(history, () => what + OpenCalls(history));

    public static async Task<T> BoundedAsync<T>(this Task<T> task, History history, Func<string> what, int patience = 1)
    {
        await ((Task)task).BoundedAsync(history, what, patience);
        return await task;
    }

    public static string OpenCalls(History history)
    {
        var open = history.Calls.Where(call => call.Outcome == Outcome.InFlight).ToArray();
        return open.Length == 0 ? "" : $"; {open.Length} calls never completed: {string.Join("; ", open.Take(3))}";
    }
}
