using System.Diagnostics;

namespace KvStore.RealPartsChild;

/// <summary>Ends the process when something stands still: nothing here takes longer than a few seconds.</summary>
internal static class Waiting
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

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
