using KvStore.Persistence.Log;
using KvStore.Rules;

namespace KvStore;

/// <summary>How a directory of files keeps a namespace. Read once, when it is opened.</summary>
public sealed record FilePersistenceOptions
{
    private const int KiB = 1024;
    private const int MiB = 1024 * KiB;

    /// <summary>What a completed put or delete promises. Default <see cref="Durability.Immediate"/>.</summary>
    public Durability Durability { get; init; } = Durability.Immediate;

    /// <summary>
    /// How much time may be lost: with <see cref="Durability.Interval"/> by a power cut, with <see cref="Durability.Buffered"/>
    /// by the end of the process. Default one second; one millisecond to one hour.
    /// </summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The length at which a log file is followed by the next, in bytes. Default 64 MiB; 4 KiB to 1 GiB.</summary>
    public int LogFileBytes { get; init; } = 64 * MiB;

    /// <summary>
    /// Compaction begins when the dead bytes on disk are more than this many times the live ones. Default 1; 0.1 to 100.
    /// </summary>
    public double CompactionDeadRatio { get; init; } = 1;

    /// <summary>No compaction happens by itself while the files take less than this, in bytes. Default 64 MiB; at least 4 KiB.</summary>
    public long CompactionBytesMin { get; init; } = 64 * MiB;

    /// <summary>
    /// The length from which on a value is not kept in memory and in the log but in a file of its own, in bytes. Default
    /// 256 KiB; 1 KiB to 16 MiB.
    /// </summary>
    public int LargeValueBytes { get; init; } = 256 * KiB;

    /// <summary>
    /// Opens what is whole and changes nothing: damage is reported in <see cref="KvRecovery.Damages"/> in place of being an
    /// error, and writes are refused. The directory needs no permission to write. Others may read it at the same time, but nobody may
    /// write to it: while a process does, let it make a copy with <see cref="FilePersistence.SnapshotAsync"/> and open the copy.
    /// Default false.
    /// </summary>
    public bool ReadOnly { get; init; }

    /// <summary>
    /// On Unix: who may read and write the files that are made. A user that may read the files may also enter a directory that is made.
    /// Files and directories that exist keep their permissions, and Windows keeps its own rules. Default
    /// <see cref="UnixFileMode.UserRead"/> and <see cref="UnixFileMode.UserWrite"/>: nobody but the user of the process (600,
    /// and 700 for directories). The user needs both.
    /// </summary>
    public UnixFileMode UnixFileMode { get; init; } = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Checks every option against its range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it, its value and the range.</exception>
    public void Validate()
    {
        if (!Enum.IsDefined(Durability))
        {
            throw OutOfRange(nameof(Durability), (int)Durability, "Immediate, Interval or Buffered");
        }

        if (Interval < TimeSpan.FromMilliseconds(1) || Interval > TimeSpan.FromHours(1))
        {
            throw OutOfRange(nameof(Interval), Interval, "one millisecond to one hour");
        }

        if (LogFileBytes is < 4 * KiB or > 1024 * MiB)
        {
            throw OutOfRange(nameof(LogFileBytes), LogFileBytes, $"{4 * KiB} to {1024 * MiB} bytes");
        }

        if (CompactionDeadRatio is not (>= 0.1 and <= 100))
        {
            throw OutOfRange(nameof(CompactionDeadRatio), CompactionDeadRatio, "0.1 to 100");
        }

        if (CompactionBytesMin < 4 * KiB)
        {
            throw OutOfRange(nameof(CompactionBytesMin), CompactionBytesMin, $"at least {4 * KiB} bytes");
        }

        const UnixFileMode Needed = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        const UnixFileMode Possible = Needed | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;
        if ((UnixFileMode & Needed) != Needed || (UnixFileMode & ~Possible) != 0)
        {
            throw OutOfRange(nameof(UnixFileMode), UnixFileMode < 0 ? (int)UnixFileMode : UnixFileMode, "UserRead and UserWrite, and any of GroupRead, GroupWrite, OtherRead and OtherWrite");
        }

        if (LargeValueBytes is < KiB or > 16 * MiB)
        {
            throw OutOfRange(nameof(LargeValueBytes), LargeValueBytes, $"{KiB} to {16 * MiB} bytes");
        }
    }

    private static ArgumentOutOfRangeException OutOfRange(string name, object value, string range) =>
        Rules.OutOfRange.Exception(
            $"{nameof(FilePersistenceOptions)}.{name}",
            value,
            Invariant($"{nameof(FilePersistenceOptions)}.{name} is {value}; it must be {range}."));
}
