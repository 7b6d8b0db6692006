using System.Diagnostics;

namespace KvStore.Diagnostics;

/// <summary>
/// The seam through which a test makes an allocation fail. Every allocation of a mutation, and of the background work that follows
/// it, calls <see cref="Before"/> first. A Release build has no such calls.
/// </summary>
internal static class AllocationProbe
{
    private static long s_left = long.MaxValue;

    /// <summary>The number of allocations that succeed before one fails; later allocations succeed. Set only by tests.</summary>
    public static long SucceedBeforeFailure
    {
        get => Volatile.Read(ref s_left);
        set => Volatile.Write(ref s_left, value);
    }

    /// <summary>Call directly before an allocation.</summary>
    /// <exception cref="InsufficientMemoryException">A test makes this allocation fail.</exception>
    [Conditional("DEBUG")]
    public static void Before()
    {
        if (Volatile.Read(ref s_left) != long.MaxValue && Interlocked.Decrement(ref s_left) == -1)
        {
            throw new InsufficientMemoryException("A test made this allocation fail.");
        }
    }
}
