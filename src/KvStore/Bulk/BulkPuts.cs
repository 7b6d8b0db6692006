namespace KvStore.Bulk;

/// <summary>
/// Puts the entries of a bulk file in order, without waiting for each put, so that puts that wait for a disk share a flush.
/// </summary>
/// <remarks>For one caller at a time.</remarks>
internal sealed class BulkPuts(IKvNamespace kv)
{
    private const int ErrorsMax = 1000;
    private const int WaitingMax = 8 * 1024;
    private const long WaitingBytesMax = 8 * 1024 * 1024;

    private readonly Queue<(long Index, string? Key, int Bytes, Task Put)> _waiting = new();
    private readonly List<KvBulkError> _errors = [];
    private long _waitingBytes;
    private long _errorCount;

    /// <summary>How many have been put.</summary>
    public long Imported { get; private set; }

    /// <summary>Begins the put of the entry that was read last. A refusal is noted.</summary>
    public async ValueTask PutAsync(BulkReader reader, ReadOnlyMemory<byte> json, CancellationToken cancellationToken)
    {
        var index = reader.Count - 1;
        while (_waiting.Count == WaitingMax || _waitingBytes > WaitingBytesMax)
        {
            await CompleteOldestAsync().ConfigureAwait(false);
        }

        string? key = null;
        try
        {
            BulkEntry entry;
            using (var document = BulkEntry.Open(json))
            {
                key = BulkEntry.KeyOf(document.RootElement, reader.Texts);
                entry = await BulkEntry.ParseAsync(document.RootElement, key, reader.Texts, cancellationToken).ConfigureAwait(false);
            }

            if (reader.HasTexts)
            {
                // The value is readable only until the next entry is read.
                await using (entry.ConfigureAwait(false))
                {
                    await kv.PutAsync(entry.Key, entry.Content, entry.Options, cancellationToken).ConfigureAwait(false);
                }

                Imported++;
                return;
            }

            var put = kv.PutAsync(entry.Key, entry.Content, entry.Options, cancellationToken);
            if (put.IsCompletedSuccessfully)
            {
                // The result is read, so that its source may be used again.
                await put.ConfigureAwait(false);
                Imported++;
            }
            else
            {
                _waiting.Enqueue((index, key, json.Length, put.AsTask()));
                _waitingBytes += json.Length;
            }
        }
        catch (Exception e) when (IsRefusal(e))
        {
            Note(index, key, e);
        }
    }

    /// <summary>Waits for all puts that were begun. Throws the exception of the first put that failed and was not refused.</summary>
    public async ValueTask CompleteAsync()
    {
        while (_waiting.Count > 0)
        {
            await CompleteOldestAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Waits for all puts that were begun, and ignores their failures after another failure has ended the import.</summary>
    public async ValueTask AbandonAsync()
    {
        while (_waiting.TryDequeue(out var waiting))
        {
            await waiting.Put.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>The result of the import.</summary>
    public KvBulkResult ToResult()
    {
        _errors.Sort(static (x, y) => x.Index.CompareTo(y.Index));
        return new KvBulkResult(Imported, _errorCount, _errors);
    }

    private static bool IsRefusal(Exception e) => e is FormatException or KvException or ArgumentException;

    private async ValueTask CompleteOldestAsync()
    {
        var (index, key, bytes, put) = _waiting.Dequeue();
        _waitingBytes -= bytes;
        try
        {
            await put.ConfigureAwait(false);
            Imported++;
        }
        catch (Exception e) when (IsRefusal(e))
        {
            Note(index, key, e);
        }
    }

    private void Note(long index, string? key, Exception e)
    {
        _errorCount++;
        if (_errors.Count < ErrorsMax)
        {
            _errors.Add(new KvBulkError(index, key, e.Message));
        }
    }
}
