namespace KvStore;

/// <summary>
/// Says how long a mutation travels from the region where it was made to another. <see cref="KvLag"/> has the usual ones.
/// </summary>
/// <remarks>
/// It is asked once for each mutation and each other region, before the mutation is made. For a trace that can be repeated
/// it answers by its arguments alone. Thread safety: it is called from any thread, several at once.
/// </remarks>
public interface IKvLagModel
{
    /// <summary>How long a mutation travels.</summary>
    /// <param name="origin">The region where it was made.</param>
    /// <param name="destination">The region where it is to be seen.</param>
    /// <param name="mutation">The number of the mutation: 1 for the first one of the namespace since it was opened, and so on.</param>
    /// <returns>The lag, zero or more. <see cref="TimeSpan.MaxValue"/>: it never arrives by itself.</returns>
    TimeSpan GetLag(string origin, string destination, long mutation);
}
