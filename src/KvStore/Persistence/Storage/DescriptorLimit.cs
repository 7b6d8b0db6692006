using System.Runtime.InteropServices;

namespace KvStore.Persistence.Storage;

/// <summary>Says what to do when the process has as many files and connections open as it may.</summary>
internal static partial class DescriptorLimit
{
    // ENFILE and EMFILE, on Linux and on macOS.
    private const int TooManyInSystem = 23;
    private const int TooManyInProcess = 24;

    /// <summary>Closes what can be opened again, and returns whether there was anything; null as long as nothing was opened.</summary>
    public static Func<bool>? Free { get; set; }

    /// <summary>
    /// Whether an error of the system means that descriptors have run out, and some are free now or soon, so that the call is worth
    /// another attempt. Somebody else may be faster.
    /// </summary>
    public static bool HasFreed(int code) => code is TooManyInProcess or TooManyInSystem && Free?.Invoke() == true;

    /// <summary>What to add to the message of an error of the system; empty when it is another error.</summary>
    public static string Explain(int code) => code switch
    {
        TooManyInProcess when Limit() is { } limit => Invariant(
            $" This process has as many files and connections open as it may, {limit}. Nothing is lost: raise the limit (ulimit -n) or close what is not used, and try again."),
        TooManyInProcess => " This process has as many files and connections open as it may. Nothing is lost: raise the limit (ulimit -n) or close what is not used, and try again.",
        TooManyInSystem => " All processes together have as many files open as the system allows. Nothing is lost: raise its limit (sysctl fs.file-max), and try again.",
        _ => "",
    };

    /// <summary>How many files and connections the process may have open; null where there is no such limit.</summary>
    public static long? Limit()
    {
        if (OperatingSystem.IsWindows())
        {
            return null;
        }

        return GetLimit(OperatingSystem.IsLinux() ? 7 : 8, out var limit) == 0 ? (long)Math.Min(limit.Current, long.MaxValue) : null;
    }

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int GetLimit(int resource, out ResourceLimit limit);

    [StructLayout(LayoutKind.Sequential)]
    private struct ResourceLimit
    {
        public ulong Current;
        public ulong Most;
    }
}
