using KvStore.Comparisons.Compare;
using KvStore.Comparisons.Latency;

const string Usage =
    $"""
    {CompareOptions.Usage}

    {LatencyOptions.Usage}
    """;

try
{
    switch (args)
    {
        case ["compare", .. var rest]:
            return CompareCommand.Run(CompareOptions.Parse(rest));
        case ["latency", .. var rest]:
            return LatencyCommand.Run(LatencyOptions.Parse(rest));
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
