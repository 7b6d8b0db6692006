using System.Collections.Concurrent;

namespace KvStore.RealParts;

/// <summary>Stops what the tests of an assembly share, when the last one has run. Needs <see cref="RealPartTestFramework"/>.</summary>
public static class AssemblyEnd
{
    private static readonly ConcurrentStack<Action> s_actions = new();

    /// <summary>Adds what is called at the end; the last one first.</summary>
    public static void Add(Action action) => s_actions.Push(action);

    internal static void Run()
    {
        while (s_actions.TryPop(out var action))
        {
            action();
        }
    }
}
