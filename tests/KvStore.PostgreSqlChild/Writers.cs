using System.Diagnostics;
using System.Globalization;

namespace KvStore.PostgreSqlChild;

/// <summary>The tasks that write. All times are of the clock that all processes of a machine share.</summary>
internal static class Writers
{
    private const int Keys = 4;

    public static Task RunAsync(KvNamespace kv, Report report, string process, string run, CancellationToken cancellationToken) => Task.WhenAll(
        Repeat(kv, report, $"{process}.{run}.0", ReplaceAsync, cancellationToken),
        Repeat(kv, report, $"{process}.{run}.1", ReplaceAsync, cancellationToken),
        Repeat(kv, report, $"{process}.{run}.2", IncrementAsync, cancellationToken),
        Repeat(kv, report, $"{process}.{run}.3", PutAsync, cancellationToken),
        Repeat(kv, report, $"{process}.{run}.4", HoldAsync, cancellationToken),
        Repeat(kv, report, $"{process}.{run}.5", MarkAsync, cancellationToken));

    private static Task Repeat(
        KvNamespace kv, Report report, string worker, Func<KvNamespace, Report, string, int, Task> step, CancellationToken cancellationToken) => Task.Run(
            async () =>
            {
                for (var number = 1; !cancellationToken.IsCancellationRequested; number++)
                {
                    try
                    {
                        await step(kv, report, worker, number);
                    }
                    catch (KvOutcomeUnknownException)
                    {
                        report.Step("unknown", worker);
                    }
                    catch (Exception e)
                    {
                        report.Violation($"{worker} failed: {e}");
                        return;
                    }
                }
            },
            CancellationToken.None);

    // Replaces what was read, if nobody else has.
    private static async Task ReplaceAsync(KvNamespace kv, Report report, string worker, int number)
    {
        var key = $"c{Random.Shared.Next(Keys)}";
        var id = $"{worker}.{number}";
        var (revision, standing) = kv.TryGet(key, out var value) ? (value.Revision, value.GetText()!) : (0, "-");
        report.Step("replace", id, key, revision, standing, Stopwatch.GetTimestamp());
        var result = await kv.TryPutAsync(key, id, KvCondition.Revision(revision));
        report.Step(result.Succeeded ? "replaced" : "refused", id, result.Revision, Stopwatch.GetTimestamp());
        var isShown = kv.TryGet(key, out value);
        if (!isShown || value.Revision < result.Revision || (result.Succeeded && value.Revision == result.Revision && value.GetText() != id))
        {
            report.Violation($"{id} read {value.Revision} of {key} after {(result.Succeeded ? "writing" : "being refused by")} {result.Revision}");
        }
    }

    private static async Task IncrementAsync(KvNamespace kv, Report report, string worker, int number)
    {
        var key = $"n{number % 2}";
        report.Step("increment", key);
        report.Step("incremented", key, await kv.IncrementAsync(key));
    }

    // Keys of all processes, whose last write wins; and a key of its own.
    private static async Task PutAsync(KvNamespace kv, Report report, string worker, int number)
    {
        var key = number % 2 == 0 ? $"own/{worker}" : $"p{Random.Shared.Next(Keys)}";
        var id = $"{worker}.{number}";
        report.Step("put", id, key);
        await kv.PutAsync(key, id);
        if (!kv.TryGet(key, out var value) || (number % 2 == 0 && value.GetText() != id))
        {
            report.Violation($"{id} put {key} and read {(value.Exists ? value.GetText() : "nothing")}");
        }

        report.Step("stored", id, key, value.Revision, value.GetText()!);
    }

    // A lock: whoever creates the key has it until it deletes the key.
    private static async Task HoldAsync(KvNamespace kv, Report report, string worker, int number)
    {
        var key = $"lock{number % 2}";
        if (kv.TryGet(key, out var standing))
        {
            if (standing.GetText()!.StartsWith(worker[..(worker.IndexOf('.', StringComparison.Ordinal) + 1)], StringComparison.Ordinal))
            {
                // Of an outcome that was unknown, or of the process with the same number that was killed.
                await kv.TryDeleteAsync(key, KvCondition.Revision(standing.Revision));
            }

            await Task.Delay(1);
            return;
        }

        var result = await kv.TryPutAsync(key, $"{worker}.{number}", KvCondition.Absent);
        if (!result.Succeeded)
        {
            return;
        }

        var began = Stopwatch.GetTimestamp();
        await Task.Yield();
        report.Step("held", key, began, Stopwatch.GetTimestamp());
        if (!(await kv.TryDeleteAsync(key, KvCondition.Revision(result.Revision))).Succeeded)
        {
            report.Violation($"{worker} lost the lock {key} that it held with the revision {result.Revision}");
        }
    }

    // When it was committed here is compared with when the others show it.
    private static async Task MarkAsync(KvNamespace kv, Report report, string worker, int number)
    {
        var key = $"mark/{worker}";
        await kv.PutAsync(key, number.ToString(CultureInfo.InvariantCulture));
        var committed = Stopwatch.GetTimestamp();
        if (kv.TryGet(key, out var value))
        {
            report.Step("marked", value.Revision, committed);
        }

        await Task.Delay(20);
    }
}
