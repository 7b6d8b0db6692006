using System.IO.Pipelines;

namespace KvStore.RealPartsChild;

/// <summary>Puts and deletes of all kinds on few keys that all writers share, each of them in the history.</summary>
internal sealed class Workload(KvNamespace kv, History history, int keys)
{
    /// <summary>From this length on a value has a file of its own.</summary>
    public const int LargeBytes = 4096;

    public static FilePersistenceOptions Small { get; } = new()
    {
        LogFileBytes = 16 * 1024,
        CompactionBytesMin = 64 * 1024,
        LargeValueBytes = LargeBytes,
    };

    /// <summary>Which failures of a call are to be expected. Every other is a violation.</summary>
    public Func<Exception, bool> Expects { get; init; } = e => e is KvPersistenceException or ObjectDisposedException;

    public static Task<KvNamespace> OpenAsync(string directory, FilePersistenceOptions? options = null, TimeProvider? time = null) =>
        KvNamespace.OpenAsync("REAL_KV", new KvNamespaceOptions
        {
            Persistence = new FilePersistence(directory, options ?? Small),
            TimeProvider = time ?? TimeProvider.System,
        }).AsTask();

    /// <summary>Does one thing and says whether it was acknowledged.</summary>
    public Task<bool> StepAsync(Random random)
    {
        var key = $"key/{random.Next(keys)}";
        return random.Next(20) switch
        {
            < 4 => DeleteAsync(key),
            < 7 => PutAsync(key, LargeBytes + random.Next(100_000), random.Next(3)),
            _ => PutAsync(key, CallValue.LengthMin + random.Next(900), random.Next(3)),
        };
    }

    /// <summary>Puts, and says whether it was acknowledged.</summary>
    public Task<bool> PutAsync(string key, int length, int way = 0)
    {
        var call = history.Begin(key, length);
        var bytes = CallValue.Of(call.Id, length);
        KvContent content = way switch
        {
            0 => bytes,
            1 => new MemoryStream(bytes),
            _ => PipeReader.Create(new MemoryStream(bytes)),
        };
        var options = way == 0 ? null : new KvPutOptions { Metadata = KvMetadata.FromJson($"{{\"call\":{call.Id}}}") };
        return EndAsync(call, () => kv.PutAsync(key, content, options));
    }

    public Task<bool> DeleteAsync(string key)
    {
        var call = history.Begin(key, Call.Delete);
        return EndAsync(call, () => kv.DeleteAsync(key));
    }

    private async Task<bool> EndAsync(Call call, Func<ValueTask> act)
    {
        try
        {
            await act();
        }
        catch (Exception e)
        {
            if (!Expects(e))
            {
                history.Violation($"{(call.IsDelete ? "a delete" : "a put")} failed where nothing should fail it, or with what no caller expects: {e}");
            }

            history.End(call, Outcome.Refused);
            return false;
        }

        history.End(call, Outcome.Acknowledged);
        return true;
    }
}
