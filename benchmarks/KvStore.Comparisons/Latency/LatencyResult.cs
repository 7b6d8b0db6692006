using KvStore.Comparisons.Compare;

namespace KvStore.Comparisons.Latency;

/// <summary>The rounds of one store.</summary>
internal sealed class LatencyResult(string name)
{
    public string Name { get; } = name;

    public List<LatencyHistogram> Rounds { get; } = [];

    /// <summary>A percentile: the median over the rounds, so that one disturbance of the machine does not decide.</summary>
    public double Percentile(double share) => ResultTable.Median(Rounds.Select(round => (double)round.Percentile(share)));

    /// <summary>All reads of all rounds.</summary>
    public LatencyHistogram All()
    {
        var all = new LatencyHistogram();
        Rounds.ForEach(all.Add);
        return all;
    }
}
