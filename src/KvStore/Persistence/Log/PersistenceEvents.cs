using Microsoft.Extensions.Logging;

namespace KvStore.Persistence.Log;

/// <summary>What the file provider reports to the log of the application.</summary>
internal static partial class PersistenceEvents
{
    [LoggerMessage(1, LogLevel.Information, "Recovered {Mutations} mutations from {Directory}, the highest revision {HighestRevision}.")]
    public static partial void Recovered(ILogger logger, string directory, long mutations, long highestRevision);

    [LoggerMessage(2, LogLevel.Warning, "The end of {File} at byte {Offset} was not completely written when the process or the machine stopped; it was never acknowledged and is dropped.")]
    public static partial void TornTailDropped(ILogger logger, string file, long offset);

    [LoggerMessage(3, LogLevel.Error, "{File} is damaged at byte {Offset}: {Reason}. It is opened read-only, without what is damaged.")]
    public static partial void DamageSkipped(ILogger logger, string file, long offset, string reason);

    [LoggerMessage(4, LogLevel.Critical, "The disk failed under {Directory}; nothing is written any more until the namespace is opened again.")]
    public static partial void Failed(ILogger logger, string directory, Exception exception);

    [LoggerMessage(5, LogLevel.Information, "Compacted {Directory} from {BytesBefore} to {BytesAfter} bytes.")]
    public static partial void Compacted(ILogger logger, string directory, long bytesBefore, long bytesAfter);

    [LoggerMessage(6, LogLevel.Error, "Compaction of {Directory} failed; writes go on, and it is tried again later.")]
    public static partial void CompactionFailed(ILogger logger, string directory, Exception exception);

    [LoggerMessage(9, LogLevel.Warning, "{Weakness}")]
    public static partial void DirectoryNotFlushed(ILogger logger, string weakness);

    [LoggerMessage(7, LogLevel.Warning, "{File} is not needed any more but could not be removed.")]
    public static partial void FileNotRemoved(ILogger logger, string file, Exception exception);

    [LoggerMessage(8, LogLevel.Information, "{Directory} was opened again after a failure; writes are taken.")]
    public static partial void Reopened(ILogger logger, string directory);
}
