using System.Diagnostics.CodeAnalysis;
using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// Holds the files of a directory against its manifest: which of them make up the namespace, what is left over, and what is
/// missing, foreign or older. Changes nothing.
/// </summary>
/// <remarks>
/// Absence is never taken for emptiness: a directory is new only when it has no file of ours at all. A directory of format
/// version 1 has no manifest; there, as before, a gap in the numbers is all that can be noticed.
/// </remarks>
internal sealed class DirectoryInventory
{
    private const string HalfACopy = "the directory holds half a copy: SnapshotAsync began it and did not complete it";

    private readonly IStorage _storage;
    private readonly Dictionary<string, StorageEntry> _entries;
    private readonly Action<KvDamage> _report;

    private DirectoryInventory(IStorage storage, IReadOnlyList<StorageEntry> entries, Action<KvDamage> report)
    {
        _storage = storage;
        _entries = entries.ToDictionary(entry => entry.Name);
        _report = report;
    }

    /// <summary>The manifest; null in a directory that is new or of version 1.</summary>
    public Manifest? Manifest { get; private set; }

    /// <summary>Whether there is no file of ours at all.</summary>
    public bool IsNew { get; private set; }

    /// <summary>The snapshot that counts, with what the manifest says of it, if there is one.</summary>
    public ListedFile? Snapshot { get; private set; }

    /// <summary>The logs that count, in order, with what the manifest says of each. One that is not listed there has no check.</summary>
    public List<ListedFile> Logs { get; } = [];

    /// <summary>Files of ours that do not count any more.</summary>
    public List<string> Leftovers { get; } = [];

    /// <summary>Looks at a directory.</summary>
    /// <param name="storage">The directory.</param>
    /// <param name="entries">Its files.</param>
    /// <param name="report">Called with everything that is wrong. Throws, unless as much as possible is to be read.</param>
    /// <exception cref="KvPersistenceException">A file has an unknown version.</exception>
    public static DirectoryInventory Take(IStorage storage, IReadOnlyList<StorageEntry> entries, Action<KvDamage> report)
    {
        var inventory = new DirectoryInventory(storage, entries, report);
        inventory.Leftovers.AddRange(inventory._entries.Keys.Where(FileNames.IsTemporary));
        var isUnreadable = false;
        try
        {
            inventory.Manifest = Manifest.Read(storage);
        }
        catch (KvDamagedFileException e)
        {
            report(new KvDamage(e.File, e.Offset, e.Reason));
            isUnreadable = true;
        }

        if (inventory.Manifest is { State: ManifestState.Copying })
        {
            report(new KvDamage(
                storage.PathOf(FileNames.Manifest), 0, HalfACopy));
            isUnreadable = true;
        }

        if (inventory.Manifest is { } manifest && !isUnreadable)
        {
            inventory.TakeListed(manifest);
            inventory.TakeUnlisted(manifest);
        }
        else
        {
            inventory.TakeByNumber(isUnreadable);
        }

        return inventory;
    }

    /// <summary>The files of a kind, in no particular order.</summary>
    public IEnumerable<long> Numbers(FileKind kind)
    {
        foreach (var name in _entries.Keys)
        {
            if (FileNames.TryParse(name, out var itsKind, out var number) && itsKind == kind)
            {
                yield return number;
            }
        }
    }

    /// <summary>The length of a file, if there is one.</summary>
    public bool TryGetLength(string name, out long length)
    {
        var isThere = _entries.TryGetValue(name, out var entry);
        length = entry.Length;
        return isThere;
    }

    /// <summary>Whether a value file that nothing refers to was made for this directory, so that it can be removed.</summary>
    public bool IsOwnValue(long number, [NotNullWhen(false)] out KvDamage? damage)
    {
        damage = null;
        if (Manifest is not { } manifest)
        {
            return true;
        }

        var name = FileNames.Value(number);
        FileHeader? header = null;
        try
        {
            header = ReadHeader(name, FileKind.Value, number);
        }
        catch (KvDamagedFileException)
        {
            // A crash may have left it without its header.
        }

        if (header is { Version: > 1 } made ? made.Directory == manifest.Directory : number <= manifest.ValueIdLimit)
        {
            return true;
        }

        damage = header is { Version: > 1 } foreign
            ? Foreign(name, foreign, manifest)
            : new KvDamage(_storage.PathOf(name), 0, "the file does not belong to this directory, which never gave this number. Move it elsewhere");
        return false;
    }

    /// <summary>The header of the file of a large value, held against the record that refers to it.</summary>
    /// <exception cref="KvDamagedFileException">It is the file of another value.</exception>
    public FileHeader ReadValueHeader(KvValueReference reference)
    {
        var name = FileNames.Value(reference.Id);
        using var file = _storage.Open(name, isWritable: false);
        return ReadValueHeader(file, _storage.PathOf(name), reference);
    }

    /// <summary>As <see cref="ReadValueHeader(KvValueReference)"/>, from the open file.</summary>
    public static FileHeader ReadValueHeader(IStorageFile file, string path, KvValueReference reference)
    {
        var header = FileHeader.Read(file, path, FileKind.Value, reference.Id);
        return header.Check == reference.Check
            ? header
            : throw new KvDamagedFileException(
                path, 0, "the file is that of another value than the entry refers to: it comes from another directory, or from before");
    }

    /// <summary>The header of a file.</summary>
    public FileHeader ReadHeader(string name, FileKind kind, long number)
    {
        using var file = _storage.Open(name, isWritable: false);
        return FileHeader.Read(file, _storage.PathOf(name), kind, number);
    }

    private static string Identity(Guid directory) => directory.ToString("N")[..8];

    private void TakeListed(Manifest manifest)
    {
        foreach (var listed in manifest.Files)
        {
            if (!_entries.ContainsKey(listed.Name))
            {
                Report(listed.Name, "the file is missing; the manifest lists it");
            }
            else if (TryMatch(listed, manifest, out var matched))
            {
                if (matched.Kind == FileKind.Snapshot)
                {
                    Snapshot = matched;
                }
                else
                {
                    Logs.Add(matched);
                }
            }
        }
    }

    private bool TryMatch(in ListedFile listed, Manifest manifest, out ListedFile matched)
    {
        matched = listed;
        FileHeader header;
        try
        {
            header = ReadHeader(listed.Name, listed.Kind, listed.Number);
        }
        catch (KvDamagedFileException e)
        {
            _report(new KvDamage(e.File, e.Offset, e.Reason));
            return false;
        }

        if (header.Check == listed.Check && (header.Version == 1 || header.Directory == manifest.Directory))
        {
            return true;
        }

        if (!listed.IsFinished && header.Directory == manifest.Directory && IsEmpty(listed.Name, header))
        {
            // It was begun a second time after a flush of the directory had failed, and nothing was written to either.
            matched = listed with { Check = header.Check };
            return true;
        }

        _report(header.Version > 1 && header.Directory != manifest.Directory
            ? Foreign(listed.Name, header, manifest)
            : new KvDamage(
                _storage.PathOf(listed.Name), 0,
                "the file is another one than the manifest lists under this name: it comes from before, or from a copy of this directory that went its own way"));
        return false;
    }

    private void TakeUnlisted(Manifest manifest)
    {
        var listed = manifest.Files.Select(file => file.Name).ToHashSet();
        foreach (var name in _entries.Keys.Order(StringComparer.Ordinal))
        {
            if (listed.Contains(name) || !FileNames.TryParse(name, out var kind, out var number) || kind == FileKind.Value)
            {
                continue;
            }

            FileHeader header;
            try
            {
                header = ReadHeader(name, kind, number);
            }
            catch (KvDamagedFileException e)
            {
                Report(name, $"the manifest does not list the file, and {e.Reason}. Move it elsewhere");
                continue;
            }

            if (header.Version > 1 && header.Directory != manifest.Directory)
            {
                _report(Foreign(name, header, manifest));
            }
            else if (number <= manifest.SnapshotNumber || (kind == FileKind.Snapshot && number <= manifest.LastNumber && header.Version > 1))
            {
                // A crash came between the manifest and the removal, or between a snapshot and the manifest.
                Leftovers.Add(name);
            }
            else if (kind == FileKind.Log && number == manifest.LastNumber + 1 && header.Version > 1 && IsEmpty(name, header))
            {
                // A crash came before the manifest that would have listed it, or before the removal of one that stayed empty.
                Logs.Add(new ListedFile(FileKind.Log, number, header.Check));
            }
            else
            {
                Report(name, "the manifest does not list the file, which is not empty: the manifest is older than the file, or the file comes from a copy of this directory");
            }
        }
    }

    private bool IsEmpty(string name, in FileHeader header)
    {
        using var file = _storage.Open(name, isWritable: false);
        using var reader = new LogReader(file, header.Seed, header.Bytes, file.Length);
        return !reader.TryRead(out var record) || record.Kind == RecordKind.End;
    }

    /// <summary>Version 1: logs follow the snapshot, and each other, without a gap; without a snapshot the first is number 1.</summary>
    private void TakeByNumber(bool isManifestUnreadable)
    {
        var snapshotNumber = Numbers(FileKind.Snapshot).DefaultIfEmpty().Max();
        var logNumbers = Numbers(FileKind.Log).Where(number => number > snapshotNumber).Order().ToArray();
        if (!isManifestUnreadable)
        {
            CheckIsOfVersion1();
        }

        var expected = snapshotNumber + 1;
        foreach (var number in logNumbers)
        {
            if (number != expected)
            {
                Report(FileNames.Log(expected), "the file is missing");
            }

            expected = number + 1;
        }

        if (snapshotNumber == 0 && logNumbers.Length == 0)
        {
            if (Numbers(FileKind.Value).Any())
            {
                Report(FileNames.Log(1), "the file is missing, and there is no snapshot, but there are large values");
            }
            else if (_entries.Keys.FirstOrDefault(FileNames.IsTemporarySnapshot) is { } half)
            {
                Report(half, "the directory holds half a copy: there is a snapshot that was not completed, and nothing else");
            }
            else if (!isManifestUnreadable && _entries.ContainsKey(FileNames.CopyManifest))
            {
                Report(FileNames.CopyManifest, HalfACopy);
            }
            else if (!isManifestUnreadable && DirectoryRemains.Find(_storage, _entries.Keys) is { } remains)
            {
                _report(remains);
            }

            IsNew = !isManifestUnreadable;
        }

        Snapshot = snapshotNumber > 0 ? new ListedFile(FileKind.Snapshot, snapshotNumber, 0) : null;
        Logs.AddRange(logNumbers.Select(number => new ListedFile(FileKind.Log, number, 0)));
        foreach (var name in _entries.Keys)
        {
            if (FileNames.TryParse(name, out var kind, out var number)
                && ((kind == FileKind.Log && number <= snapshotNumber) || (kind == FileKind.Snapshot && number < snapshotNumber)))
            {
                Leftovers.Add(name);
            }
        }
    }

    private void CheckIsOfVersion1()
    {
        foreach (var name in _entries.Keys.Order(StringComparer.Ordinal))
        {
            if (!FileNames.TryParse(name, out var kind, out var number))
            {
                continue;
            }

            try
            {
                if (ReadHeader(name, kind, number).Version == 1)
                {
                    continue;
                }
            }
            catch (KvDamagedFileException)
            {
                // Whether it matters is found out when it is read.
                continue;
            }

            Report(FileNames.Manifest, $"the file is missing; without it, {name} may be a foreign or an older file");
            return;
        }
    }

    private KvDamage Foreign(string name, in FileHeader header, Manifest manifest) =>
        new(_storage.PathOf(name), 0,
            $"the file belongs to another directory (its identity begins with {Identity(header.Directory)}, that of this directory with {Identity(manifest.Directory)}). Move it elsewhere");

    private void Report(string name, string reason) => _report(new KvDamage(_storage.PathOf(name), 0, reason));
}
