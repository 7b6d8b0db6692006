using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace KvStore.Persistence.Storage;

/// <summary>
/// One process at a time: a lock of the operating system on the file <c>lock</c>, which ends with the process that holds it,
/// so that a process that died blocks nobody. Its number stands in <c>lock.pid</c> beside it, for the message that the next
/// one gets: the locked file itself cannot be read on every system.
/// </summary>
internal sealed class DirectoryLock : IDisposable
{
    /// <summary>The file that is locked.</summary>
    public const string FileName = "lock";

    /// <summary>The file with the number of the process.</summary>
    public const string ProcessIdFileName = "lock.pid";

    private readonly SafeFileHandle _handle;
    private readonly string _processIdPath;

    /// <summary>Takes the lock, or fails at once.</summary>
    /// <exception cref="KvDirectoryLockedException">Somebody has it.</exception>
    public DirectoryLock(string directory)
    {
        _processIdPath = Path.Combine(directory, ProcessIdFileName);
        try
        {
            _handle = File.OpenHandle(
                Path.Combine(directory, FileName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (IsHeld(e))
        {
            throw new KvDirectoryLockedException(directory, ReadProcessId(_processIdPath), e);
        }

        try
        {
            File.WriteAllText(_processIdPath, Environment.ProcessId.ToString(CultureInfo.InvariantCulture), Encoding.ASCII);
        }
        catch
        {
            _handle.Dispose();
            throw;
        }
    }

    /// <summary>Gives the directory back. The files stay, so that nobody locks a file that another one is deleting.</summary>
    public void Dispose()
    {
        if (!_handle.IsClosed)
        {
            try
            {
                File.WriteAllText(_processIdPath, "", Encoding.ASCII);
            }
            catch (IOException)
            {
                // The number is for a message only; the lock itself must be given back whatever the disk does.
            }
            finally
            {
                _handle.Dispose();
            }
        }
    }

    // A sharing or locking violation on Windows, EWOULDBLOCK on Linux and on macOS.
    private static bool IsHeld(IOException e) => (e.HResult & 0xFFFF) is 32 or 33 or 11 or 35;

    private static int? ReadProcessId(string path)
    {
        try
        {
            return int.TryParse(File.ReadAllText(path), NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : null;
        }
        catch (IOException)
        {
            return null;
        }
    }
}
