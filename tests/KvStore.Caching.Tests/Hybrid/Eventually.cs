namespace KvStore.Caching.Tests.Hybrid;

/// <summary>Waits for what another thread is going to do.</summary>
internal static class Eventually
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(2);

    public static async Task BecomesAsync<T>(Func<T> actual, T expected)
    {
        using var patience = new CancellationTokenSource(s_patience);
        while (!EqualityComparer<T>.Default.Equals(actual(), expected) && !patience.IsCancellationRequested)
        {
            await Task.Delay(5);
        }

        actual().Should().Be(expected);
    }
}
