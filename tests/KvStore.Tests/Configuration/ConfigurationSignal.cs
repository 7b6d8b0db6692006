using Microsoft.Extensions.Configuration;

namespace KvStore.Tests.Configuration;

/// <summary>Waits for changes of a configuration on its own signal.</summary>
internal static class ConfigurationSignal
{
    // Ends a test that would wait for ever.
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(1);

    /// <summary>Completes when the configuration is as expected.</summary>
    public static async Task WhenAsync(this IConfiguration configuration, Func<IConfiguration, bool> isExpected)
    {
        while (true)
        {
            var changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            using var registration = configuration.GetReloadToken().RegisterChangeCallback(_ => changed.TrySetResult(), null);
            if (isExpected(configuration))
            {
                return;
            }

            await changed.Task.WaitAsync(s_patience);
        }
    }

    /// <summary>Completes when a key has a value.</summary>
    public static Task WhenAsync(this IConfiguration configuration, string key, string? value) =>
        configuration.WhenAsync(current => current[key] == value);

    /// <summary>The keys that have a value, with their values.</summary>
    public static Dictionary<string, string?> Values(this IConfiguration configuration) =>
        configuration.AsEnumerable().Where(static pair => pair.Value is not null).ToDictionary();
}
