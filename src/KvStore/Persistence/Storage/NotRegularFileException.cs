namespace KvStore.Persistence.Storage;

/// <summary>Something else than a file has the name of a file.</summary>
internal sealed class NotRegularFileException(string path)
    : IOException($"{path} is not a regular file but a directory, a pipe, a socket or a device. Move it elsewhere.");
