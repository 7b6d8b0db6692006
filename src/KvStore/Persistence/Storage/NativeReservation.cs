using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvStore.Persistence.Storage;

/// <summary>Reserves disk space for a file without changing its length: fallocate of Linux, which .NET offers only for new files.</summary>
internal static partial class NativeReservation
{
    private const int KeepSizeFlag = 1;
    private const int FileSizeResource = 1;
    private const int InterruptedError = 4;
    private const int TooLargeError = 27;
    private const int NoSpaceError = 28;
    private const int QuotaError = 122;

    /// <summary>See <see cref="IStorageFile.TryReserve"/>.</summary>
    public static bool TryReserve(SafeFileHandle file, long offset, long length)
    {
        // With 32 bits, the type of an offset depends on the C library.
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess)
        {
            return false;
        }

        // The system checks this limit when a file is written, and not when space is reserved behind its end.
        if (GetLimit(FileSizeResource, out var limit) == 0 && (ulong)(offset + length) > limit.Current)
        {
            throw Error(TooLargeError);
        }

        while (Allocate(file, KeepSizeFlag, offset, length) != 0)
        {
            var code = Marshal.GetLastPInvokeError();
            if (IsUnsupported(code))
            {
                return false;
            }

            if (code != InterruptedError)
            {
                throw Error(code);
            }
        }

        return true;
    }

    /// <summary>Whether an error means that the disk, or the quota of the user, has no space left.</summary>
    public static bool IsLackOfSpace(Exception e) =>
        e is IOException && (OperatingSystem.IsWindows() ? (e.HResult & 0xFFFF) is 39 or 112
            : e.HResult == NoSpaceError || e.HResult == (OperatingSystem.IsLinux() ? QuotaError : 69));

    // EINVAL, ENOSYS, EOPNOTSUPP.
    private static bool IsUnsupported(int code) => code is 22 or 38 or 95;

    private static IOException Error(int code) =>
        new(Invariant($"fallocate failed: {Marshal.GetPInvokeErrorMessage(code)} (error {code})."), code);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int GetLimit(int resource, out ResourceLimit limit);

    [StructLayout(LayoutKind.Sequential)]
    private struct ResourceLimit
    {
        public ulong Current;
        public ulong Most;
    }
}
