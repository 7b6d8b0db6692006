using System.Diagnostics;

namespace KvStore.PostgreSql.Tests;

/// <summary>Waits for what another process, or another namespace of the test, will see.</summary>
internal static class WaitUntil
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    /// <summary>Completes when a condition holds; fails when it does not for a minute.</summary>
    public static Task HoldsAsync(Func<bool> condition, string because = "") => HoldsAsync(() => Task.FromResult(condition()), because);

    /// <summary>The same for a condition that is asked of a server.</summary>
    public static async Task HoldsAsync(Func<Task<bool>> condition, string because = "")
    {
        var began = Stopwatch.StartNew();
        while (!await condition())
        {
            began.Elapsed.Should().BeLessThan(s_patience, because);
            await Task.Delay(5);
        }
    }
}
