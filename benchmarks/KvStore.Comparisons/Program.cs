using KvStore.Comparisons.Compare;
using KvStore.Comparisons.Hits;
using KvStore.Comparisons.Latency;

const string Usage =
    $"""
    {CompareOptions.Usage}

    {LatencyOptions.Usage}

    {HitsOptions.Usage}
    """;

try
{
    switch (args)
    {
        case ["compare", .. var rest]:
            return CompareCommand.Run(CompareOptions.Parse(rest));
        case ["latency", .. var rest]:
            return LatencyCommand.Run(LatencyOptions.Parse(rest));
        case ["hits", .. var rest]:
            return HitsCommand.Run(HitsOptions.Parse(rest));
        case [SecondProcessCommand.Name, .. var rest]:
            return SecondProcessCommand.Run(rest);
        default:
            Console.Error.WriteLine(Usage);
            return 2;
    }
}
catch (ArgumentException e)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}
