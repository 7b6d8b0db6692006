// What the tests on real parts run in a process of its own: because it is killed, because its system calls fail, or because its
// memory is limited. The first argument says which scenario, the others are the scenario's. Standard output is a history.
using KvStore.RealPartsChild;

var arguments = new Arguments(args[1..]);
await (args[0] switch
{
    "killed" => KilledScenario.RunAsync(arguments),
    "failing-calls" => FailingCallsScenario.RunAsync(arguments),
    "full-disk" => FullDiskScenario.RunAsync(arguments),
    "replaced-values" => ReplacedValuesScenario.RunAsync(arguments),
    "short-memory" => ShortMemoryScenario.RunAsync(arguments),
    "memory-comes-back" => ShortMemoryScenario.RunUntilItComesBackAsync(arguments),
    var unknown => throw new ArgumentException($"There is no scenario {unknown}."),
});
