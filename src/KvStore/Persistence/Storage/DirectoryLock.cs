using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace KvStore.Persistence.Storage;

/// <summary>
/// One writer or many readers at a time: a lock of the operating system, which ends with the process that holds it, so that a
/// process that died blocks nobody. The number of the writer stands in <c>lock.pid</c>, for the message that the next one gets.
/// </summary>
/// <remarks>
/// <para>On Unix two locks are taken with <c>flock</c>: on the directory itself, which nobody can delete while it is used, and
/// on the file <c>lock</c>, for file systems that lock no directories. They do not depend on the locks that .NET takes, which
/// a setting of the process can switch off. On Windows the file <c>lock</c> is opened so that nobody else can open it.</para>
/// <para>The directory is locked through the descriptor that its files are opened through, and once it is, the file <c>lock</c> is
/// closed again: what holds the one keeps everybody away, and many namespaces take no more descriptors than they must.</para>
/// <para>A reader writes nothing: where there is no file <c>lock</c>, it locks the directory alone.</para>
/// </remarks>
internal sealed partial class DirectoryLock : IDisposable
{
    /// <summary>The file that is locked.</summary>
    public const string FileName = "lock";

    /// <summary>The file with the number of the process.</summary>
    public const string ProcessIdFileName = "lock.pid";

    private const int SharedOperation = 1;
    private const int ExclusiveOperation = 2;
    private const int WithoutWaitingOperation = 4;
    private const int UnlockOperation = 8;
    private const int InterruptedError = 4;

    private readonly FileStorage _storage;
    private readonly SafeFileHandle? _directory;
    private readonly SafeFileHandle? _file;
    private bool _isReleased;
    private readonly bool _isShared;

    /// <summary>Takes the lock, or fails at once.</summary>
    /// <param name="storage">The directory.</param>
    /// <param name="isShared">Whether others who read may have it at the same time; then nothing is written.</param>
    /// <exception cref="KvDirectoryLockedException">Somebody has it.</exception>
    /// <exception cref="IOException">The file system has no locks.</exception>
    public DirectoryLock(FileStorage storage, bool isShared)
    {
        _storage = storage;
        _isShared = isShared;
        try
        {
            if (!OperatingSystem.IsWindows())
            {
                var directory = storage.DirectoryHandle ?? NativeFlush.OpenDirectory(storage.Path);
                if (TryLock(directory, out var isHeld))
                {
                    _directory = directory;
                }
                else
                {
                    Close(directory);
                    if (isHeld)
                    {
                        throw Held(null);
                    }
                }
            }

            _file = LockFile();
            if (HoldsDirectory)
            {
                _file?.Dispose();
                _file = null;
            }

            if (!isShared)
            {
                storage.WriteText(ProcessIdFileName, Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
            }
        }
        catch
        {
            Release();
            throw;
        }
    }

    /// <summary>Whether the directory itself is locked, so that the file <c>lock</c> may be gone without harm.</summary>
    public bool HoldsDirectory => _directory is not null;

    /// <summary>Which file is locked; null when it is not known.</summary>
    public FileIdentity? FileIdentity { get; private set; }

    /// <summary>Gives the directory back. The files stay, so that nobody locks a file that another one is deleting.</summary>
    public void Dispose()
    {
        if (_isReleased)
        {
            return;
        }

        try
        {
            if (!_isShared && !_storage.IsLost)
            {
                _storage.WriteText(ProcessIdFileName, "");
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The number is for a message only; the lock itself must be given back whatever the disk does.
        }
        finally
        {
            Release();
        }
    }

    private SafeFileHandle? LockFile()
    {
        while (true)
        {
            SafeFileHandle file;
            try
            {
                file = _storage.OpenLockFile(FileName, _isShared);
            }
            catch (IOException e) when (OperatingSystem.IsWindows() && (e.HResult & 0xFFFF) is 32 or 33)
            {
                throw Held(e);
            }
            catch (Exception e) when (_isShared && e is FileNotFoundException or UnauthorizedAccessException)
            {
                // No writer was ever here, or the file cannot be made; the lock on the directory keeps writers away.
                return null;
            }

            if (OperatingSystem.IsWindows())
            {
                return file;
            }

            if (!TryLock(file, out var isHeld))
            {
                var code = Marshal.GetLastPInvokeError();
                file.Dispose();
                if (isHeld)
                {
                    throw Held(null);
                }

                if (_isShared || HoldsDirectory)
                {
                    return null;
                }

                throw new IOException(
                    $"The file system of {_storage.Path} has no locks (flock: {Marshal.GetPInvokeErrorMessage(code)}), so a second process could write to it unnoticed. Put the directory on another file system.");
            }

            FileIdentity = _storage.IdentityOf(file);
            if (FileIdentity is null || FileIdentity == _storage.IdentityOf(FileName))
            {
                return file;
            }

            // It was deleted after it was opened: the next one to come would lock another file.
            file.Dispose();
        }
    }

    private bool TryLock(SafeFileHandle handle, out bool isHeld)
    {
        while (Flock(handle, (_isShared ? SharedOperation : ExclusiveOperation) | WithoutWaitingOperation) != 0)
        {
            var code = Marshal.GetLastPInvokeError();
            if (code != InterruptedError)
            {
                // EWOULDBLOCK on Linux and on macOS.
                isHeld = code is 11 or 35;
                return false;
            }
        }

        isHeld = false;
        return true;
    }

    private void Release()
    {
        _isReleased = true;
        _file?.Dispose();
        if (_directory is not null)
        {
            Close(_directory);
        }
    }

    private void Close(SafeFileHandle directory)
    {
        if (directory != _storage.DirectoryHandle)
        {
            directory.Dispose();
        }
        else if (!directory.IsClosed)
        {
            _ = Flock(directory, UnlockOperation);
        }
    }

    private KvDirectoryLockedException Held(Exception? inner)
    {
        int? processId = _storage.TryReadText(ProcessIdFileName) is { } text
            && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : null;
        return new KvDirectoryLockedException(_storage.Path, processId, _isShared, inner);
    }

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int Flock(SafeFileHandle file, int operation);
}
