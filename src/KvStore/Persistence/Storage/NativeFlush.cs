using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace KvStore.Persistence.Storage;

/// <summary>
/// The flushes that .NET does not offer: fdatasync, which spares a log whose blocks are there already the write of its
/// modification time (100 in place of 144 microseconds), and fsync of a directory.
/// </summary>
internal static partial class NativeFlush
{
    private const int InterruptedError = 4;
    private const int ReadOnlyFlag = 0;

    /// <summary>Flushes the data of a file, and of its metadata what is needed to read it.</summary>
    public static void Data(SafeFileHandle file)
    {
        if (!OperatingSystem.IsLinux())
        {
            // On macOS this asks the drive itself to write (F_FULLFSYNC), which fsync there does not.
            RandomAccess.FlushToDisk(file);
            return;
        }

        // Interrupted before it began, which is no failure of the disk.
        while (FlushData(file) != 0)
        {
            var code = Marshal.GetLastPInvokeError();
            if (code != InterruptedError)
            {
                throw Error("fdatasync", code);
            }
        }
    }

    /// <summary>Flushes the names in a directory. Windows has no such thing and needs none: its renames are in its journal.</summary>
    /// <returns>Null, or why the file system cannot do it at all. A flush that failed is an exception.</returns>
    public static string? Directory(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return null;
        }

        var descriptor = OpenUninterrupted(path);
        if (descriptor < 0)
        {
            var code = Marshal.GetLastPInvokeError();
            throw new FlushNotBegunException(Invariant($"open of the directory failed: {Marshal.GetPInvokeErrorMessage(code)} (error {code}).{DescriptorLimit.Explain(code)}"), code);
        }

        using var directory = new SafeFileHandle(descriptor, ownsHandle: true);
        return Directory(directory);
    }

    /// <summary>Flushes the names in a directory that is open.</summary>
    public static string? Directory(SafeFileHandle directory)
    {
        while (FlushAll(directory) != 0)
        {
            var code = Marshal.GetLastPInvokeError();
            if (IsUnsupported(code))
            {
                return Invariant($"{Marshal.GetPInvokeErrorMessage(code)}, error {code}");
            }

            if (code != InterruptedError)
            {
                throw Error("fsync of the directory", code);
            }
        }

        return null;
    }

    /// <summary>Opens a directory, to flush or to lock it. Not on Windows.</summary>
    public static SafeFileHandle OpenDirectory(string path)
    {
        var descriptor = OpenUninterrupted(path);
        return descriptor >= 0
            ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw Error($"open of {path}", Marshal.GetLastPInvokeError());
    }

    private static int OpenUninterrupted(string path)
    {
        int descriptor;
        do
        {
            descriptor = Open(path, ReadOnlyFlag | CloseOnExecFlag);
        }
        while (descriptor < 0 && Marshal.GetLastPInvokeError() == InterruptedError);

        return descriptor;
    }

    private static int CloseOnExecFlag => OperatingSystem.IsLinux() ? 0x80000 : OperatingSystem.IsMacOS() ? 0x1000000 : 0;

    // EINVAL, ENOSYS, and ENOTSUP or EOPNOTSUPP: there is no such operation. An error of the disk has other numbers.
    private static bool IsUnsupported(int code) =>
        code == 22 || (OperatingSystem.IsLinux() ? code is 38 or 95 : code is 78 or 45 or 102);

    private static Exception Error(string operation, int code)
    {
        const int NoEntry = 2;
        const int NotPermitted = 1;
        const int AccessDenied = 13;
        var message = Invariant($"{operation} failed: {Marshal.GetPInvokeErrorMessage(code)} (error {code}).{DescriptorLimit.Explain(code)}");
        return code switch
        {
            NoEntry => new DirectoryNotFoundException(message),
            NotPermitted or AccessDenied => new UnauthorizedAccessException(message, new IOException(message, code)),
            _ => new IOException(message, code),
        };
    }

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    private static partial int FlushData(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FlushAll(SafeFileHandle file);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);
}
