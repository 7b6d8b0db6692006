namespace KvStore;

/// <summary>
/// Decides how late a region receives a write that was made in another region. <see cref="KvLag"/> has the usual models.
/// </summary>
/// <remarks>
/// The model is called once for each write and each other region, before the write is made. When its results depend on nothing but
/// the arguments, the same operations give the same trace. Thread safety: it is called from several threads at once.
/// </remarks>
public interface IKvLagModel
{
    /// <summary>Returns the lag of a write.</summary>
    /// <param name="origin">The region where the write is made.</param>
    /// <param name="destination">The region that receives the write.</param>
    /// <param name="mutation">The number of the write since the namespace was opened; the first write has 1.</param>
    /// <returns>The lag, zero or more. With <see cref="TimeSpan.MaxValue"/> the write is never delivered.</returns>
    TimeSpan GetLag(string origin, string destination, long mutation);
}
