using System.Collections.Immutable;
using System.Diagnostics;
using KvStore.Diagnostics;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// The manifest of a directory that is being written to. Each change of the files is noted here, and replaces the manifest on the disk.
/// </summary>
/// <remarks>
/// When a call fails with an <see cref="IOException"/>, the manifest on the disk is the one from before or the new one; both
/// describe the directory as it is then, so the call may be repeated, and nothing that depended on it may have been done.
/// Thread safety: all members, from any thread.
/// </remarks>
internal sealed class OpenManifest(IStorage storage, Manifest manifest, TimeProvider time)
{
    private readonly Lock _lock = new();
    private Manifest _current = manifest;
    private bool _hasSpace;

    /// <summary>The identity of the directory.</summary>
    public Guid Directory => Current.Directory;

    /// <summary>What it says, together with what it will say of finished logs when it is written the next time.</summary>
    public Manifest Current => Volatile.Read(ref _current);

    /// <summary>Writes it as it is.</summary>
    public void Write() => Replace(static current => current);

    /// <summary>Makes sure that the manifest on the disk is the one that was written last, or that a failed write may have left.</summary>
    /// <exception cref="KvDamagedFileException">It is missing or damaged.</exception>
    /// <exception cref="KvPersistenceException">It is of another directory, or somebody else has written it.</exception>
    public void Verify()
    {
        lock (_lock)
        {
            var onDisk = Manifest.Read(storage);
            if (onDisk?.Directory != _current.Directory || onDisk.Sequence < _current.Sequence || onDisk.Sequence > _current.Sequence + 1)
            {
                throw new KvPersistenceException(
                    $"{storage.PathOf(FileNames.Manifest)} is not the one that this process has written: the directory was changed by somebody else, or put back from a copy. Writes are refused as before; dispose the namespace, look at the directory, and open it again.");
            }
        }
    }

    /// <summary>Runs steps that end with a change by one file, whose space on the disk is taken before the first step.</summary>
    /// <exception cref="IOException">There is no space, and no step was run; or a step failed.</exception>
    public void WithSpace(Action steps)
    {
        lock (_lock)
        {
            _current.TakeSpace(storage);
            _hasSpace = true;
            try
            {
                steps();
            }
            finally
            {
                // What is left is overwritten by the next change.
                _hasSpace = false;
            }
        }
    }

    /// <summary>A log has its name and is empty. It may be written to when this returns.</summary>
    public void LogBegun(in FileHeader header)
    {
        var begun = new ListedFile(FileKind.Log, header.Number, header.Check);
        Replace(current => current with { State = ManifestState.Open, Files = current.Files.Add(begun) });
    }

    /// <summary>
    /// A log was finished. Written with the next change: until then the log has its end, and the manifest does not ask for it.
    /// May be said again, when memory was short the first time.
    /// </summary>
    public void LogFinished(long number, long endOffset, uint endChecksum)
    {
        lock (_lock)
        {
            var index = IndexOfLog(_current.Files, number);
            AllocationProbe.Before();
            _current = _current with
            {
                Files = _current.Files.SetItem(index, _current.Files[index] with { EndOffset = endOffset, EndChecksum = endChecksum }),
            };
        }
    }

    /// <summary>A snapshot has its name, and stands for all logs up to its number. They may be removed when this returns.</summary>
    public void Compacted(ListedFile snapshot) =>
        Replace(current => current with
        {
            Files = [snapshot, .. current.Files.Where(file => file.Kind == FileKind.Log && file.Number > snapshot.Number)],
        });

    /// <summary>Nothing more is written. A last log that is empty is no longer listed, and may be removed when this returns.</summary>
    public void Closed() =>
        Replace(static current => current with
        {
            State = ManifestState.Closed,
            Files = current.Files is [.., { IsFinished: false } last] ? current.Files.Remove(last) : current.Files,
        });

    /// <summary>Numbers of large values up to this one may be given when this returns.</summary>
    public void ReserveValueIds(long limit) => Replace(current => current with { ValueIdLimit = Math.Max(current.ValueIdLimit, limit) });

    /// <summary>Notes the time, since something may be removed that is over now. Written with the next change.</summary>
    public void NoteTime()
    {
        lock (_lock)
        {
            _current = _current with { LatestSeconds = LatestSeconds };
        }
    }

    private long LatestSeconds => Math.Max(_current.LatestSeconds, Manifest.SecondsOf(time.GetUtcNow()));

    private static int IndexOfLog(ImmutableArray<ListedFile> files, long number)
    {
        var index = files.Length - 1;
        while (files[index].Number != number || files[index].Kind != FileKind.Log)
        {
            index--;
        }

        return index;
    }

    private void Replace(Func<Manifest, Manifest> change)
    {
        lock (_lock)
        {
            AllocationProbe.Before();
            var next = change(_current) with
            {
                Sequence = _current.Sequence + 1,
                LatestSeconds = LatestSeconds,
            };
            Debug.Assert(next.Files.Count(file => !file.IsFinished) <= 1, "Every log but the last is finished.");
            next.Write(storage, _hasSpace);
            _hasSpace = false;
            Volatile.Write(ref _current, next);
        }
    }
}
