using System.Diagnostics;

namespace KvStore.RealPartsChild;

/// <summary>Ends the process when something stands still: nothing here takes longer than a few seconds.</summary>
internal static class Waiting
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(90);

    public static async Task BoundedAsync(this Task task, History history, string what)
    {
        try
        {
            await task.WaitAsync(s_patience);
        }
        catch (TimeoutException) when (!task.IsCompleted)
        {
            var open = history.Calls.Where(call => call.Outcome == Outcome.InFlight).ToArray();
            history.Violation($"hang: {what}; {open.Length} calls never completed: {string.Join("; ", open.Take(5))}");
            Process.GetCurrentProcess().Kill();
        }
    }

    public static async Task<T> BoundedAsync<T>(this Task<T> task, History history, string what)
    {
        await ((Task)task).BoundedAsync(history, what);
        return await task;
    }
}
