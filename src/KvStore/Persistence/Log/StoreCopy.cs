using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// Copies a directory that is in use: a snapshot, the logs written meanwhile up to one moment, and the large values.
/// </summary>
/// <remarks>
/// The snapshot shows some of what was written while it was made, and not the rest; with the logs up to a moment after it,
/// the copy is the state of that moment. The snapshot gets its name last: without it the copy lacks the first logs, which
/// is an error when it is opened, so half a copy is never taken for a whole one.
/// </remarks>
internal sealed class StoreCopy(IStorage source, IStorage target, IKvPersistenceHost host, GroupCommit log, ValueFiles values)
{
    private const int BufferBytes = 1024 * 1024;

    /// <summary>Makes the copy. No compaction may run meanwhile.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        // What is replaced from now on may be replaced after the moment of the copy, which then still needs it.
        values.SuspendRemoval();
        try
        {
            await CopyAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            values.ResumeRemoval();
        }
    }

    private async Task CopyAsync(CancellationToken cancellationToken)
    {
        var number = await log.RollAsync().ConfigureAwait(false);
        if (number == 0)
        {
            // Nothing was ever written; an empty directory says the same.
            return;
        }

        using var snapshot = await Compaction.WriteAsync(
            target, number, host, log.HighestRevision, log.FlushAsync, cancellationToken).ConfigureAwait(false);

        // Finished logs can be copied as they are.
        var last = await log.RollAsync().ConfigureAwait(false);
        var held = values.HoldAll();
        try
        {
            foreach (var lease in held)
            {
                Copy(FileNames.Value(lease.File.Reference.Id), cancellationToken);
            }
        }
        finally
        {
            held.ForEach(lease => lease.Dispose());
        }

        for (var next = number + 1; next <= last; next++)
        {
            Copy(FileNames.Log(next), cancellationToken);
        }

        target.FlushDirectory();
        snapshot.Publish();
    }

    private void Copy(string name, CancellationToken cancellationToken)
    {
        using var from = source.Open(name, isWritable: false);
        using var to = target.Create(name);
        var buffer = GC.AllocateUninitializedArray<byte>(BufferBytes);
        var offset = 0L;
        while (from.Read(buffer, offset) is var read && read > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            to.Write(buffer.AsSpan(0, read), offset);
            offset += read;
        }

        to.Flush();
    }
}
