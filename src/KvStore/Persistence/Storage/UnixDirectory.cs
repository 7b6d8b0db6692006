using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;

namespace KvStore.Persistence.Storage;

/// <summary>
/// A directory of Linux that is held open: every name is looked up in it and not along its path. When the directory is moved
/// and another one takes its place, nothing of the other one is ever touched.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
[SupportedOSPlatform("linux")]
internal sealed partial class UnixDirectory : IDisposable
{
    // The flags of open are the same for every processor that .NET runs on; O_DIRECTORY and O_NOFOLLOW are not, and are not used.
    private const int ReadWriteFlag = 2;
    private const int CreateFlag = 0x40;
    private const int MustBeNewFlag = 0x80;

    // Otherwise opening a pipe that no process writes to would wait.
    private const int NonBlockingFlag = 0x800;
    private const int CloseOnExecFlag = 0x80000;

    private const int CurrentDirectory = -100;
    private const int EmptyPathFlag = 0x1000;

    // With the time of birth.
    private const uint BasicMask = 0xFFF;

    private const int NoEntryError = 2;
    private const int InterruptedError = 4;

    private readonly string _path;
    private readonly UnixFileMode _fileMode;

    /// <summary>Opens a directory that exists.</summary>
    /// <param name="path">Its full path.</param>
    /// <param name="fileMode">Who may do what with files that are made in it.</param>
    public UnixDirectory(string path, UnixFileMode fileMode)
    {
        _path = path;
        _fileMode = fileMode;
        var descriptor = OpenUninterrupted(path);
        Handle = descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw Error(path);
        Identity = TryStatus(Handle, out var status) ? status.Identity : null;
    }

    public SafeFileHandle Handle { get; }

    /// <summary>Which directory it is; null where the system does not say.</summary>
    public FileIdentity? Identity { get; }

    /// <summary>Which directory stands under the path now. Null when there is none.</summary>
    public FileIdentity? IdentityOfPath() =>
        StatusAt(CurrentDirectory, _path, 0, BasicMask, out var status) == 0 ? status.Identity
        : Marshal.GetLastPInvokeError() == NoEntryError ? null
        : Identity;

    /// <summary>Which file has a name. Null when none has.</summary>
    public FileIdentity? IdentityOf(string name) => TryStatus(name, out var status) ? status.Identity : null;

    public static FileIdentity? IdentityOf(SafeFileHandle file) => TryStatus(file, out var status) ? status.Identity : null;

    public bool Exists(string name)
    {
        if (TryStatus(name, out _))
        {
            return true;
        }

        return Marshal.GetLastPInvokeError() != NoEntryError ? File.Exists(Path.Combine(_path, name)) : false;
    }

    /// <summary>Makes a file that must not exist yet.</summary>
    public SafeFileHandle Create(string name) => Opened(name, ReadWriteFlag | CreateFlag | MustBeNewFlag);

    /// <summary>Makes a file, or opens the one that there is.</summary>
    public SafeFileHandle OpenOrCreate(string name) => Opened(name, ReadWriteFlag | CreateFlag);

    public SafeFileHandle Open(string name, bool isWritable) => Opened(name, isWritable ? ReadWriteFlag : 0);

    public void Rename(string from, string to)
    {
        if (RenameAt(Handle, from, Handle, to) != 0)
        {
            throw Error(Path.Combine(_path, from));
        }
    }

    public void Delete(string name)
    {
        if (UnlinkAt(Handle, name, 0) != 0 && Marshal.GetLastPInvokeError() != NoEntryError)
        {
            throw Error(Path.Combine(_path, name));
        }
    }

    public void Dispose() => Handle.Dispose();

    private static int OpenUninterrupted(string path)
    {
        int descriptor;
        do
        {
            descriptor = OpenAt(CurrentDirectory, path, CloseOnExecFlag, 0);
        }
        while (descriptor < 0 && Marshal.GetLastPInvokeError() == InterruptedError);

        return descriptor;
    }

    private SafeFileHandle Opened(string name, int flags)
    {
        int descriptor;
        do
        {
            descriptor = OpenAt(Handle, name, flags | NonBlockingFlag | CloseOnExecFlag, (uint)_fileMode);
        }
        while (descriptor < 0 && Marshal.GetLastPInvokeError() == InterruptedError);
        var path = Path.Combine(_path, name);
        if (descriptor < 0)
        {
            throw Error(path);
        }

        var file = new SafeFileHandle(descriptor, ownsHandle: true);
        if (TryStatus(file, out var status) && !status.IsRegularFile)
        {
            file.Dispose();
            throw new NotRegularFileException(path);
        }

        return file;
    }

    private static bool TryStatus(SafeFileHandle file, out Status status)
    {
        try
        {
            return StatusAt(file, "", EmptyPathFlag, BasicMask, out status) == 0;
        }
        catch (EntryPointNotFoundException)
        {
            // A C library of before 2018: what it cannot report is not checked.
            status = default;
            return false;
        }
    }

    private bool TryStatus(string name, out Status status)
    {
        try
        {
            return StatusAt(Handle, name, 0, BasicMask, out status) == 0;
        }
        catch (EntryPointNotFoundException)
        {
            status = default;
            return false;
        }
    }

    /// <summary>The exception that the file operations of .NET throw for the same error.</summary>
    private static Exception Error(string path)
    {
        const int NotPermitted = 1;
        const int AccessDenied = 13;
        var code = Marshal.GetLastPInvokeError();
        var message = Invariant($"{path}: {Marshal.GetPInvokeErrorMessage(code)} (error {code}).{DescriptorLimit.Explain(code)}");
        return code switch
        {
            NoEntryError => new FileNotFoundException(message, path),
            NotPermitted or AccessDenied => new UnauthorizedAccessException(message, new IOException(message, code)),
            _ => new IOException(message, code),
        };
    }

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenAt(SafeFileHandle directory, string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenAt(int directory, string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "renameat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int RenameAt(SafeFileHandle fromDirectory, string from, SafeFileHandle toDirectory, string to);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int UnlinkAt(SafeFileHandle directory, string path, int flags);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatusAt(SafeFileHandle directory, string path, int flags, uint mask, out Status status);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatusAt(int directory, string path, int flags, uint mask, out Status status);

    /// <summary>The part that is needed of <c>struct statx</c>, which has one layout on every processor.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    [SuppressMessage("Style", "IDE0044", Justification = "The system writes them.")]
    private struct Status
    {
        private const ushort TypeMask = 0xF000;
        private const ushort RegularType = 0x8000;

        [FieldOffset(28)]
        private ushort _mode;

        [FieldOffset(32)]
        private ulong _number;

        [FieldOffset(80)]
        private long _bornSeconds;

        [FieldOffset(88)]
        private uint _bornNanoseconds;

        [FieldOffset(136)]
        private uint _deviceMajor;

        [FieldOffset(140)]
        private uint _deviceMinor;

        public readonly bool IsRegularFile => (_mode & TypeMask) == RegularType;

        public readonly FileIdentity Identity => new(((ulong)_deviceMajor << 32) | _deviceMinor, _number, (_bornSeconds * 1_000_000_000) + _bornNanoseconds);
    }
}

/// <summary>Which file or directory it is, whatever its name.</summary>
/// <param name="Device">The file system that it is on.</param>
/// <param name="Number">Its number there (inode).</param>
/// <param name="BornAt">When it was made, in nanoseconds; 0 where the file system does not know. Numbers of files that were removed are given again.</param>
internal readonly record struct FileIdentity(ulong Device, ulong Number, long BornAt);
