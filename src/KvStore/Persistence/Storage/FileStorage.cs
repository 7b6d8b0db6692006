using Microsoft.Win32.SafeHandles;

namespace KvStore.Persistence.Storage;

/// <summary>A directory of the file system. Nothing is buffered between it and the operating system.</summary>
internal sealed class FileStorage : IStorage
{
    private readonly string _directory;

    /// <summary>Uses a directory.</summary>
    /// <param name="directory">The directory.</param>
    /// <param name="creates">Whether it is created when it does not exist; otherwise that is an error.</param>
    /// <exception cref="DirectoryNotFoundException">It does not exist.</exception>
    public FileStorage(string directory, bool creates = true)
    {
        _directory = Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory));
        if (creates)
        {
            CreateDirectory(_directory);
        }
        else if (!Directory.Exists(_directory))
        {
            throw new DirectoryNotFoundException($"{_directory} does not exist.");
        }
    }

    public string PathOf(string name) => Path.Combine(_directory, name);

    public IReadOnlyList<StorageEntry> List()
    {
        var entries = new List<StorageEntry>();
        foreach (var file in new DirectoryInfo(_directory).EnumerateFiles())
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

        return entries;
    }

    public bool Exists(string name) => File.Exists(PathOf(name));

    public IStorageFile Create(string name) =>
        new OpenFile(File.OpenHandle(
            PathOf(name), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete));

    public IStorageFile Open(string name, bool isWritable) =>
        new OpenFile(File.OpenHandle(
            PathOf(name),
            FileMode.Open,
            isWritable ? FileAccess.ReadWrite : FileAccess.Read,
            FileShare.ReadWrite | FileShare.Delete));

    public void Rename(string from, string to) => File.Move(PathOf(from), PathOf(to), overwrite: true);

    public void Delete(string name) => File.Delete(PathOf(name));

    public void FlushDirectory() => NativeFlush.Directory(_directory);

    public IDisposable Lock() => new DirectoryLock(_directory);

    public void Dispose()
    {
        // Nothing is held open between calls.
    }

    // A directory that is new survives a power cut only when the one above it was flushed.
    private static void CreateDirectory(string directory)
    {
        if (Directory.Exists(directory))
        {
            return;
        }

        if (Path.GetDirectoryName(directory) is { } parent)
        {
            CreateDirectory(parent);
            Directory.CreateDirectory(directory);
            NativeFlush.Directory(parent);
        }
        else
        {
            Directory.CreateDirectory(directory);
        }
    }

    private sealed class OpenFile(SafeFileHandle handle) : IStorageFile
    {
        public long Length => RandomAccess.GetLength(handle);

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

        public void Write(ReadOnlySpan<byte> bytes, long offset) => RandomAccess.Write(handle, bytes, offset);

        public void SetLength(long length) => RandomAccess.SetLength(handle, length);

        public void Flush() => NativeFlush.Data(handle);

        public void Dispose() => handle.Dispose();
    }
}
