namespace KvStore.Persistence.Storage;

/// <summary>
/// One directory of a disk, as narrow as the log needs it. Names are names of files in it, never paths.
/// </summary>
/// <remarks>
/// <para>What a power cut leaves of changes to the directory (a file created, renamed, deleted) that no
/// <see cref="FlushDirectory"/> has followed: each of them may have happened or not, whatever came before or after it. A
/// rename is never half done: one of the two names leads to the file, and the name that it took leads to the old file
/// or to the new one.</para>
/// <para>Errors are <see cref="IOException"/> or <see cref="UnauthorizedAccessException"/>, and nothing is retried.
/// Thread safety: all members, from any thread.</para>
/// </remarks>
internal interface IStorage : IDisposable
{
    /// <summary>How a file is called in a message: its path.</summary>
    string PathOf(string name);

    /// <summary>
    /// The files that there are, in no particular order. One that is created, renamed or deleted meanwhile may be among them
    /// or not.
    /// </summary>
    IReadOnlyList<StorageEntry> List();

    /// <summary>Whether there is a file of this name.</summary>
    bool Exists(string name);

    /// <summary>Creates an empty file for reading and writing. Survives a power cut after <see cref="FlushDirectory"/>.</summary>
    /// <exception cref="IOException">The name is taken.</exception>
    IStorageFile Create(string name);

    /// <summary>Opens a file that exists.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="isWritable">For reading and writing; otherwise for reading.</param>
    IStorageFile Open(string name, bool isWritable);

    /// <summary>Gives a file another name, in place of a file that has that name. Survives a power cut after <see cref="FlushDirectory"/>.</summary>
    void Rename(string from, string to);

    /// <summary>Deletes a file, if it exists. Whoever has it open may go on using it. Final after <see cref="FlushDirectory"/>.</summary>
    void Delete(string name);

    /// <summary>When it returns, all changes to the directory made before the call survive a power cut.</summary>
    void FlushDirectory();

    /// <summary>
    /// Takes the directory for this process until the returned object is disposed or the process ends, however it ends.
    /// Once it is taken and turns out to be lost (moved, replaced), every change and every flush throws
    /// <see cref="DirectoryLostException"/>.
    /// </summary>
    /// <param name="isShared">To read only, beside others who do the same; writes nothing. Otherwise alone.</param>
    /// <exception cref="KvDirectoryLockedException">Somebody has it.</exception>
    IDisposable Lock(bool isShared = false);

    /// <summary>
    /// After it turned out to be lost: makes sure that the very directory that was locked stands under its path again, with the lock
    /// that was taken; then it can be changed again. Nothing to do when it is not lost.
    /// </summary>
    /// <exception cref="DirectoryLostException">It does not, and nothing can be changed as before.</exception>
    void Reclaim()
    {
    }

    /// <summary>What the file system turned out not to be able to do, as a sentence; null as long as nothing is known.</summary>
    string? Weakness => null;
}

/// <summary>A file and its length.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Length">Its length in bytes.</param>
internal readonly record struct StorageEntry(string Name, long Length);
