namespace KvStore.Segments;

/// <summary>How large segments are.</summary>
/// <param name="Least">The first segments of a small namespace have this size.</param>
/// <param name="Most">No segment that holds more than one record is larger.</param>
/// <param name="SharedRecord">A larger record gets a segment of exactly its size, so that little memory is lost at a segment's end.</param>
internal readonly record struct SegmentSizes(int Least, int Most, int SharedRecord)
{
    private const int BudgetSegments = 64;
    private const int BudgetedMin = 16 * 1024;

    /// <summary>The sizes where memory is not limited.</summary>
    public static SegmentSizes Unlimited { get; } = new(64 * 1024, RecordAddress.SegmentBytesMax, 256 * 1024);

    /// <summary>
    /// The sizes in a budget. Memory is taken, cleaned and evicted a segment at a time, so a segment is small in relation to the budget.
    /// </summary>
    public static SegmentSizes Within(long bytesMax)
    {
        var most = (int)Math.Clamp(bytesMax / BudgetSegments, BudgetedMin, RecordAddress.SegmentBytesMax) & -4096;
        return new SegmentSizes(Math.Min(Unlimited.Least, most), most, Math.Min(Unlimited.SharedRecord, most / 4));
    }
}
