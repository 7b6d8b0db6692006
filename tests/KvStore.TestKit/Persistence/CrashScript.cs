namespace KvStore.TestKit.Persistence;

/// <summary>
/// The calls of each caller of the crash program, as a function of its number and of the number of calls before. The program makes the
/// calls, and the test that killed it computes which state must be there.
/// </summary>
internal static class CrashScript
{
    private const int Keys = 20;

    public enum Kind
    {
        Put,
        Delete,
        PutLarge,
        Touch,
    }

    /// <summary>What a caller does as its n-th thing, counted from 1.</summary>
    public static (Kind Kind, string Key, string Value) Step(int seed, int caller, int number)
    {
        var random = new Random(HashCode(seed, caller, number));
        var key = $"{caller}/{random.Next(Keys)}";
        var letter = (char)('a' + random.Next(26));
        return random.Next(20) switch
        {
            < 4 => (Kind.Delete, key, ""),
            5 or 6 => (Kind.Touch, key, ""),
            4 => (Kind.PutLarge, key, $"{number} {new string(letter, 5000 + random.Next(100_000))}"),
            _ => (Kind.Put, key, $"{number} {new string(letter, random.Next(900))}"),
        };
    }

    /// <summary>Applies a step to a state.</summary>
    public static void Apply(SortedDictionary<string, string> state, (Kind Kind, string Key, string Value) step)
    {
        if (step.Kind == Kind.Delete)
        {
            state.Remove(step.Key);
        }
        else if (step.Kind != Kind.Touch)
        {
            state[step.Key] = step.Value;
        }
    }

    // The same in every process, which the hash of the runtime is not.
    private static int HashCode(int seed, int caller, int number) => (int)unchecked((((uint)seed * 31) + (uint)caller) * 2_654_435_761u) ^ number;
}
