using KvStore.Persistence.Log;
using KvStore.Persistence.Storage;

namespace KvStore;

/// <summary>
/// A directory that this process has locked, with small files that are replaced as a whole. For programs that keep several
/// namespaces and must know, after a crash, which ones.
/// </summary>
/// <remarks>
/// Another process, or another part of this one, cannot lock the directory until this is disposed or the process ends. On Unix the
/// files can be read by their owner alone. For one caller at a time.
/// </remarks>
public sealed class KvDirectory : IDisposable
{
    private const string NewSuffix = ".new";

    private readonly IStorage _storage;
    private readonly IDisposable _lock;

    /// <summary>Locks a directory, which is created when it does not exist.</summary>
    /// <param name="path">The directory.</param>
    /// <exception cref="KvDirectoryLockedException">It is locked already.</exception>
    /// <exception cref="IOException">It cannot be created or read.</exception>
    /// <exception cref="UnauthorizedAccessException">The process may not create or read it.</exception>
    public KvDirectory(string path)
        : this(StorageOf(path))
    {
    }

    internal KvDirectory(IStorage storage)
    {
        _storage = storage;
        _lock = storage.Lock();
    }

    /// <summary>Whether a directory holds files of a namespace (<see cref="FilePersistence"/>). Changes nothing.</summary>
    /// <param name="path">The directory. It need not exist.</param>
    /// <returns>Whether it does.</returns>
    /// <exception cref="IOException">The directory cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The process may not read it.</exception>
    public static bool HoldsNamespace(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        return Directory.Exists(path)
            && Directory.EnumerateFiles(path).Any(static file => FileNames.TryParse(Path.GetFileName(file), out _, out _));
    }

    /// <summary>The path of a file in the directory, for messages.</summary>
    /// <param name="name">The name of the file.</param>
    /// <returns>The path.</returns>
    public string PathOf(string name) => _storage.PathOf(name);

    /// <summary>Whether there is a file.</summary>
    /// <param name="name">The name of the file.</param>
    /// <returns>Whether there is.</returns>
    public bool Exists(string name) => _storage.Exists(name);

    /// <summary>Reads a file whole.</summary>
    /// <param name="name">The name of the file.</param>
    /// <returns>The bytes; null when there is no such file.</returns>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public byte[]? Read(string name)
    {
        if (!_storage.Exists(name))
        {
            return null;
        }

        using var file = _storage.Open(name, isWritable: false);
        var bytes = new byte[file.Length];
        _ = file.Read(bytes, 0);
        return bytes;
    }

    /// <summary>
    /// Creates or replaces a file. When the method returns, the new content survives a power cut; after a crash before that, the file
    /// holds all of the old content or all of the new one. The name with <c>.new</c> appended is used for a temporary file.
    /// </summary>
    /// <param name="name">The name of the file.</param>
    /// <param name="content">The new content.</param>
    /// <exception cref="IOException">The file cannot be written, or the directory has been moved or replaced.</exception>
    /// <exception cref="UnauthorizedAccessException">The process may not write it.</exception>
    public void Replace(string name, ReadOnlySpan<byte> content)
    {
        // A crash may have left one.
        _storage.Delete(name + NewSuffix);
        using (var file = _storage.Create(name + NewSuffix))
        {
            file.Write(content, 0);
            file.Flush();
        }

        _storage.Rename(name + NewSuffix, name);
        _storage.FlushDirectory();
    }

    /// <summary>Deletes a directory and all that is in it. When the method returns, a power cut does not bring it back.</summary>
    /// <param name="path">The directory. Nothing happens when it does not exist.</param>
    /// <exception cref="IOException">It cannot be deleted; part of it may be gone.</exception>
    /// <exception cref="UnauthorizedAccessException">The process may not delete it; part of it may be gone.</exception>
    public static void Delete(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
            NativeFlush.Directory(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)))!);
        }
    }

    /// <summary>Unlocks the directory.</summary>
    public void Dispose()
    {
        _lock.Dispose();
        _storage.Dispose();
    }

    private static FileStorage StorageOf(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        return new FileStorage(path);
    }
}
