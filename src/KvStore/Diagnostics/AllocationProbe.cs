using System.Diagnostics;

namespace KvStore.Diagnostics;

/// <summary>
/// The seam through which a test makes an allocation fail. Every allocation on the way of a mutation, and of the background work
/// that follows it, is preceded by <see cref="Before"/>; a Release build has neither the calls nor their cost.
/// </summary>
internal static class AllocationProbe
{
    private static long s_left = long.MaxValue;

    /// <summary>How many allocations succeed before one fails; the following ones succeed again. Never set outside tests.</summary>
    public static long SucceedBeforeFailure
    {
        get => Volatile.Read(ref s_left);
        set => Volatile.Write(ref s_left, value);
    }

    /// <summary>Call directly before an allocation.</summary>
    /// <exception cref="InsufficientMemoryException">A test wants this allocation to fail.</exception>
    [Conditional("DEBUG")]
    public static void Before()
    {
        if (Volatile.Read(ref s_left) != long.MaxValue && Interlocked.Decrement(ref s_left) == -1)
        {
            throw new InsufficientMemoryException("A test made this allocation fail.");
        }
    }
}
