namespace KvStore.Persistence.Storage;

/// <summary>
/// The directory that was opened no longer stands under its path, or somebody else has taken it. Nothing was changed, and
/// nothing is changed until <see cref="IStorage.Reclaim"/> finds it in its place again.
/// </summary>
internal sealed class DirectoryLostException(string directory, string reason)
    : IOException($"{directory} is not the directory any more that was opened: {reason}. Nothing more is written. Put the directory back and call ReopenAsync, or dispose the namespace and open it again.");
