using System.Diagnostics;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace KvStore.Persistence.Storage;

/// <summary>A directory of the file system. Nothing is buffered between it and the operating system.</summary>
/// <remarks>
/// <para>From <see cref="Lock"/> on, every change and every flush first makes sure that the directory is still the one that
/// was locked (<see cref="Verify"/>). Once it is not, everything fails for good: another process may own what stands there.</para>
/// </remarks>
internal sealed class FileStorage : IStorage
{
    private const UnixFileMode Executable = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private readonly UnixDirectory? _directory;
    private readonly UnixFileMode _fileMode;
    private DirectoryLock? _lock;
    private volatile string? _reasonOfLoss;
    private volatile string? _weakness;

    /// <summary>Uses a directory.</summary>
    /// <param name="directory">The directory.</param>
    /// <param name="creates">Whether it is created when it does not exist; otherwise that is an error.</param>
    /// <param name="fileMode">On Unix: who may do what with files that are made. A user that may read the files may enter a directory that is made.</param>
    /// <exception cref="DirectoryNotFoundException">It does not exist.</exception>
    public FileStorage(string directory, bool creates = true, UnixFileMode fileMode = UnixFileMode.UserRead | UnixFileMode.UserWrite)
    {
        Path = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(directory));
        _fileMode = fileMode;
        if (creates)
        {
            CreateDirectory(Path);
        }
        else if (!Directory.Exists(Path))
        {
            throw new DirectoryNotFoundException($"{Path} does not exist, or may not be looked at.");
        }

        if (OperatingSystem.IsLinux())
        {
            _directory = new UnixDirectory(Path, fileMode);
        }
    }

    /// <summary>The full path of the directory.</summary>
    public string Path { get; }

    public string? Weakness => _weakness;

    public string PathOf(string name) => System.IO.Path.Combine(Path, name);

    public IReadOnlyList<StorageEntry> List()
    {
        var entries = new List<StorageEntry>();
        foreach (var file in Enumerate())
        {
            try
            {
                entries.Add(new StorageEntry(file.Name, file.Length));
            }
            catch (FileNotFoundException)
            {
                // Removed since its name was read, so it is not there.
            }
        }

        // Read along the path: what was read is that of this directory only if it still stands there.
        Verify();
        return entries;
    }

    public bool Exists(string name) => OperatingSystem.IsLinux() ? _directory!.Exists(name) : File.Exists(PathOf(name));

    public IStorageFile Create(string name)
    {
        Verify();
        return new OpenFile(this, CreateFile(name));
    }

    public IStorageFile Open(string name, bool isWritable) => new OpenFile(this, OpenFileOf(name, isWritable));

    public void Rename(string from, string to)
    {
        Verify();
        if (OperatingSystem.IsLinux())
        {
            _directory!.Rename(from, to);
        }
        else
        {
            File.Move(PathOf(from), PathOf(to), overwrite: true);
        }
    }

    public void Delete(string name)
    {
        Verify();
        if (OperatingSystem.IsLinux())
        {
            _directory!.Delete(name);
        }
        else
        {
            File.Delete(PathOf(name));
        }
    }

    public void FlushDirectory()
    {
        Verify();
        var reason = OperatingSystem.IsLinux() ? NativeFlush.Directory(_directory!.Handle) : NativeFlush.Directory(Path);
        if (reason is not null)
        {
            _weakness = $"The file system of {Path} cannot flush directories (fsync: {reason}). A power cut may take the names of files that were made shortly before it.";
        }
    }

    public IDisposable Lock(bool isShared = false)
    {
        Debug.Assert(_lock is null, "A directory is locked once.");
        var taken = new DirectoryLock(this, isShared);
        _lock = taken;
        return new Lease(this, taken);
    }

    public void Reclaim()
    {
        // The descriptor of the directory is still open, and with it the lock on it: if this directory stands here, nobody else has
        // had it meanwhile.
        if (_reasonOfLoss is { } before && _lock is not null)
        {
            _reasonOfLoss = null;
            try
            {
                Verify();
            }
            catch when (_reasonOfLoss is null)
            {
                _reasonOfLoss = before;
                throw;
            }
        }
    }

    public void Dispose()
    {
        if (OperatingSystem.IsLinux())
        {
            _directory!.Dispose();
        }
    }

    /// <summary>Makes a file with a text in place of what is there. For what may be lost.</summary>
    internal void WriteText(string name, string text)
    {
        using var file = OperatingSystem.IsLinux()
            ? _directory!.OpenOrCreate(name)
            : File.OpenHandle(PathOf(name), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        RandomAccess.SetLength(file, 0);
        RandomAccess.Write(file, Encoding.ASCII.GetBytes(text), 0);
    }

    /// <summary>The beginning of a file as text, or null when it cannot be read.</summary>
    internal string? TryReadText(string name)
    {
        try
        {
            using var file = OpenFileOf(name, isWritable: false);
            Span<byte> bytes = stackalloc byte[64];
            return Encoding.ASCII.GetString(bytes[..RandomAccess.Read(file, bytes, 0)]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            return null;
        }
    }

    internal SafeFileHandle OpenLockFile(string name, bool isShared)
    {
        if (OperatingSystem.IsLinux())
        {
            return isShared ? _directory!.Open(name, isWritable: false) : _directory!.OpenOrCreate(name);
        }

        // On Windows this is the lock; elsewhere it locks nothing yet.
        return isShared
            ? File.OpenHandle(PathOf(name), FileMode.Open, FileAccess.Read, OperatingSystem.IsWindows() ? FileShare.Read : FileShare.ReadWrite)
            : File.OpenHandle(PathOf(name), FileMode.OpenOrCreate, FileAccess.ReadWrite, OperatingSystem.IsWindows() ? FileShare.None : FileShare.ReadWrite);
    }

    /// <summary>The directory, held open; null where names are looked up along its path.</summary>
    internal SafeFileHandle? DirectoryHandle => OperatingSystem.IsLinux() ? _directory!.Handle : null;

    /// <summary>Whether the directory turned out to be another one than was locked.</summary>
    internal bool IsLost => _reasonOfLoss is not null;

    internal FileIdentity? IdentityOf(string name) => OperatingSystem.IsLinux() ? _directory!.IdentityOf(name) : null;

    internal FileIdentity? IdentityOf(SafeFileHandle file) =>
        OperatingSystem.IsLinux() && _directory is not null ? UnixDirectory.IdentityOf(file) : null;

    /// <summary>Makes sure that the directory is still the one that was locked. Two system calls, about a microsecond.</summary>
    /// <exception cref="DirectoryLostException">It is not, now or at an earlier call.</exception>
    private void Verify()
    {
        if (_lock is not { } taken)
        {
            return;
        }

        var reason = _reasonOfLoss is { } earlier ? earlier
            : OperatingSystem.IsLinux() ? ReasonOfLoss(taken)
            : OperatingSystem.IsWindows() || File.Exists(PathOf(DirectoryLock.FileName)) ? null
            : "the file lock is gone";
        if (reason is not null)
        {
            _reasonOfLoss = reason;
            throw new DirectoryLostException(Path, reason);
        }
    }

    private FileInfo[] Enumerate()
    {
        try
        {
            return new DirectoryInfo(Path).GetFiles();
        }
        catch (IOException e) when (DescriptorLimit.Explain(e.HResult) is { Length: > 0 } explanation)
        {
            throw new IOException($"{e.Message.TrimEnd('.')}.{explanation}", e.HResult);
        }
    }

    private string? ReasonOfLoss(DirectoryLock taken)
    {
        if (!OperatingSystem.IsLinux() || _directory is not { Identity: { } identity } directory)
        {
            return null;
        }

        if (directory.IdentityOfPath() is not { } standing)
        {
            return "it was moved or removed";
        }

        if (standing != identity)
        {
            return "it was moved or removed, and another one stands in its place";
        }

        if (taken.FileIdentity is not { } file)
        {
            return null;
        }

        return directory.IdentityOf(DirectoryLock.FileName) switch
        {
            // The lock on the directory itself keeps others away.
            null => taken.HoldsDirectory ? null : "the file lock was removed",
            { } present => present == file ? null : "the file lock was replaced",
        };
    }

    private SafeFileHandle CreateFile(string name)
    {
        if (!OperatingSystem.IsLinux())
        {
            return Made(File.OpenHandle(
                PathOf(name), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete));
        }

        return Made(_directory!.Create(name));
    }

    // The mask of the process may have taken away permissions, and .NET gives more than the options say.
    private SafeFileHandle Made(SafeFileHandle file)
    {
        if (!OperatingSystem.IsWindows())
        {
            try
            {
                if (File.GetUnixFileMode(file) != _fileMode)
                {
                    File.SetUnixFileMode(file, _fileMode);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // File systems without permissions have none to set.
            }
        }

        return file;
    }

    private SafeFileHandle OpenFileOf(string name, bool isWritable) =>
        OperatingSystem.IsLinux()
            ? _directory!.Open(name, isWritable)
            : File.OpenHandle(
                PathOf(name),
                FileMode.Open,
                isWritable ? FileAccess.ReadWrite : FileAccess.Read,
                FileShare.ReadWrite | FileShare.Delete);

    // A directory that is new survives a power cut only when the one above it was flushed.
    private void CreateDirectory(string directory)
    {
        if (Directory.Exists(directory))
        {
            return;
        }

        if (new DirectoryInfo(directory).LinkTarget is not null)
        {
            // Making a directory there would fail too, and say that it exists.
            throw new DirectoryNotFoundException($"{directory} is a symbolic link to something that is no directory, or does not exist.");
        }

        var parent = System.IO.Path.GetDirectoryName(directory);
        if (parent is not null)
        {
            CreateDirectory(parent);
        }

        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(directory);
        }
        else
        {
            // A user that may read a file may enter: the bits of execution are two places right of those of reading.
            const UnixFileMode Readable = UnixFileMode.UserRead | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
            var mode = _fileMode | ((UnixFileMode)((int)(_fileMode & Readable) >> 2) & Executable);
            Directory.CreateDirectory(directory, mode);
            if (File.GetUnixFileMode(directory) != mode)
            {
                // The mask of the process took away a permission that the options give.
                File.SetUnixFileMode(directory, mode);
            }
        }

        if (parent is not null)
        {
            NativeFlush.Directory(parent);
        }
    }

    private sealed class OpenFile(FileStorage storage, SafeFileHandle handle) : IStorageFile
    {
        public long Length => RandomAccess.GetLength(handle);

        public FileIdentity? Identity => storage.IdentityOf(handle);

        public int Read(Span<byte> buffer, long offset)
        {
            var total = 0;
            while (total < buffer.Length && RandomAccess.Read(handle, buffer[total..], offset + total) is var read && read > 0)
            {
                total += read;
            }

            return total;
        }

        public async ValueTask<int> ReadAsync(Memory<byte> buffer, long offset, CancellationToken cancellationToken)
        {
            var total = 0;
            while (total < buffer.Length)
            {
                var read = await RandomAccess.ReadAsync(handle, buffer[total..], offset + total, cancellationToken).ConfigureAwait(false);
                if (read == 0)
                {
                    break;
                }

                total += read;
            }

            return total;
        }

        public void Write(ReadOnlySpan<byte> bytes, long offset)
        {
            try
            {
                RandomAccess.Write(handle, bytes, offset);
            }
            catch (ArgumentOutOfRangeException e)
            {
                throw TooLong(offset + bytes.Length, e);
            }
        }

        public void SetLength(long length)
        {
            try
            {
                RandomAccess.SetLength(handle, length);
            }
            catch (ArgumentOutOfRangeException e)
            {
                throw TooLong(length, e);
            }
        }

        public bool TryReserve(long offset, long length) => NativeReservation.TryReserve(handle, offset, length);

        // .NET reports EFBIG as a wrong argument. It is one more way in which there is no room.
        private static IOException TooLong(long length, ArgumentOutOfRangeException e) => new(
            Invariant($"The file cannot have {length} bytes: the file system, or the limit of the process (ulimit -f), allows less."), e);

        public void Flush()
        {
            // What is flushed is acknowledged, so it must not go to a directory that somebody else may have by now.
            storage.Verify();
            NativeFlush.Data(handle);
        }

        public void Dispose() => handle.Dispose();
    }

    private sealed class Lease(FileStorage storage, DirectoryLock taken) : IDisposable
    {
        public void Dispose()
        {
            storage._lock = null;
            taken.Dispose();
        }
    }
}
