using System.Diagnostics;

namespace KvStore.PostgreSqlChild;

/// <summary>The tasks that read.</summary>
internal static class Readers
{
    /// <summary>Checks that no key goes back to an older revision.</summary>
    public static Task FollowAsync(KvNamespace kv, Report report, CancellationToken cancellationToken) => Task.Run(
        async () =>
        {
            var newest = new Dictionary<string, long>(StringComparer.Ordinal);
            while (!cancellationToken.IsCancellationRequested)
            {
                await foreach (var entry in kv.ScanAsync(cancellationToken: CancellationToken.None))
                {
                    if (entry.Value.Revision < newest.GetValueOrDefault(entry.Key))
                    {
                        report.Violation($"{entry.Key} went back to {entry.Value.Revision} from {newest[entry.Key]}");
                    }

                    newest[entry.Key] = entry.Value.Revision;
                }

                await Task.Delay(1, CancellationToken.None);
            }
        },
        CancellationToken.None);

    /// <summary>Notes when the marks of the processes become visible here.</summary>
    public static Task WatchAsync(KvNamespace kv, Report report, CancellationToken cancellationToken) => Task.Run(
        async () =>
        {
            try
            {
                await foreach (var change in kv.WatchAsync(new KvWatchOptions { Prefix = "mark/" }, cancellationToken))
                {
                    var seen = Stopwatch.GetTimestamp();
                    if (kv.TryGet(change.Key, out var value))
                    {
                        report.Step("seen", value.Revision, seen);
                    }
                }
            }
            catch (OperationCanceledException)
            {
                // The program ends.
            }
        },
        CancellationToken.None);
}
