namespace KvStore.Persistence.Log;

/// <summary>The file of a log is not the one any more that was written to. Nothing was changed.</summary>
internal sealed class LogReplacedException(string path, Exception? cause = null) : IOException(
    $"{path} is not the file any more that this process has written: it was removed, replaced or cut off while it was not in use. Put the file back and call ReopenAsync.", cause);
