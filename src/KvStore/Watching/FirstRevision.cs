namespace KvStore.Watching;

/// <summary>Where the revisions of a namespace begin each time that it is opened.</summary>
/// <remarks>
/// A reader may come back with a revision that it got from an earlier process, and that process may have given revisions which no disk
/// remembers: all of them in memory alone, the last ones after a crash, those of expired entries. Such a revision must not be
/// one that is given again. So each opening begins at a number of its own: the seconds since 1970 times 2^28, so that a namespace
/// would have to make 268 million mutations a second to overtake its clock, plus a random number below 2^28, for clocks that stand
/// still or were set back. Up to the year 2089 that is below 14 times 2^56, and the highest revision of the format on disk is 15 times
/// 2^56. From then on, revisions only count.
/// </remarks>
internal static class FirstRevision
{
    private const int BitsBelowSecond = 28;

    // A file may say what it likes. Far above every clock there is less room to skip.
    private const long HighestSkippedFrom = 14L << 56;

    /// <summary>A revision above which to begin.</summary>
    /// <param name="highest">The highest revision that is known; 0 for none.</param>
    /// <param name="now">The time.</param>
    public static long After(long highest, DateTimeOffset now) => highest > HighestSkippedFrom
        ? highest
        : Math.Max(highest, Math.Min(Math.Clamp(now.ToUnixTimeSeconds(), 0, uint.MaxValue) << BitsBelowSecond, HighestSkippedFrom))
        + 1 + Random.Shared.NextInt64(1L << BitsBelowSecond);
}
