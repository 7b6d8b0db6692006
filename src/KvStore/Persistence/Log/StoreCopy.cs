using System.Collections.Immutable;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// Copies a directory that is in use: a snapshot, the logs written meanwhile up to one moment, and the large values.
/// </summary>
/// <remarks>
/// <para>The snapshot shows some of what was written while it was made, and not the rest; with the logs up to a moment after it,
/// the copy is the state of that moment.</para>
/// <para>The first file of the copy is a manifest that says that it is not complete, which is an error when it is opened; the last
/// is the manifest that replaces it. The copy has the identity of its source, since the files that are copied have it.</para>
/// </remarks>
internal sealed class StoreCopy(
    IStorage source, OpenManifest manifest, IStorage target, IKvPersistenceHost host, GroupCommit log, ValueFiles values)
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
        var begun = Manifest.New(manifest.Directory) with { Sequence = 1, State = ManifestState.Copying };
        begun.Write(target);
        var number = await log.RollAsync().ConfigureAwait(false);
        if (number == 0)
        {
            // Nothing was ever written.
            Complete(begun, []);
            return;
        }

        using var snapshot = await Compaction.WriteAsync(
            target, manifest.Directory, number, host, log.HighestRevision, log.FlushAsync, cancellationToken).ConfigureAwait(false);

        // Finished logs can be copied as they are.
        var last = await log.RollAsync().ConfigureAwait(false);
        var leases = values.LeaseAll();
        try
        {
            foreach (var lease in leases)
            {
                Copy(FileNames.Value(lease.Reference.Id), cancellationToken);
            }
        }
        finally
        {
            leases.ForEach(lease => lease.Dispose());
        }

        for (var next = number + 1; next <= last; next++)
        {
            Copy(FileNames.Log(next), cancellationToken);
        }

        // Their names are on the disk before they are listed.
        snapshot.Publish();
        Complete(begun, [snapshot.Listed, .. manifest.Current.Files.Where(file => file.Kind == FileKind.Log && file.Number > number && file.Number <= last)]);
    }

    private void Complete(Manifest begun, ImmutableArray<ListedFile> files)
    {
        var current = manifest.Current;
        var complete = begun with
        {
            Sequence = begun.Sequence + 1,
            State = ManifestState.Closed,
            Files = files,
            ValueIdLimit = current.ValueIdLimit,
            LatestSeconds = current.LatestSeconds,
        };
        complete.Write(target);
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
