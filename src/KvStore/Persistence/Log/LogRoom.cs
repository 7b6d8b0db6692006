using System.Diagnostics;

namespace KvStore.Persistence.Log;

/// <summary>
/// The bytes of records that the log is sure to take, because their space on the disk is reserved. In the relaxed modes, a mutation is
/// acknowledged before it is written only while it fits.
/// </summary>
/// <param name="Puts">For puts.</param>
/// <param name="Deletes">For deletes: what puts leave alone in addition.</param>
internal readonly record struct LogRoom(long Puts, long Deletes)
{
    /// <summary>Where the file system cannot reserve, or nothing is acknowledged before it is written.</summary>
    public static LogRoom Unlimited => new(long.MaxValue, long.MaxValue);

    /// <summary>What is left when records are taken from it.</summary>
    public LogRoom Less(long bytes)
    {
        Debug.Assert(bytes >= 0, "Room is taken.");
        return Puts == long.MaxValue ? this : new LogRoom(Puts - bytes, Deletes - bytes);
    }
}
