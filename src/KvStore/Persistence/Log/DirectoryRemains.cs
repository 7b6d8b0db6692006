using KvStore.Persistence.Storage;

namespace KvStore.Persistence.Log;

/// <summary>
/// Distinguishes a directory whose first opening was interrupted from one that has lost its manifest, its logs and its snapshots. Changes nothing.
/// </summary>
/// <remarks>
/// Both have no file that counts, and the first is new. An interrupted first opening leaves nothing but <c>manifest.tmp</c>, empty, filled
/// with zeros, cut off, or as it is written first. Every other file of ours is made after the manifest is on the disk.
/// </remarks>
internal static class DirectoryRemains
{
    private const string WhatToDo =
        "the manifest and every log and snapshot are missing. If the files were renamed or moved, put all of them back. To begin with an empty namespace, remove this file";

    /// <summary>Looks for a file that proves that a directory held a namespace. Requires: it has no manifest, log, snapshot or value.</summary>
    /// <returns>What is wrong; null when the directory is new.</returns>
    public static KvDamage? Find(IStorage storage, IEnumerable<string> names)
    {
        foreach (var name in names.Order(StringComparer.Ordinal))
        {
            var what = name == FileNames.Temporary(FileNames.Manifest) ? OfManifest(storage, name)
                : name == FileNames.Spare ? OfSpare(storage)
                : FileNames.IsTemporary(name) ? "the file was a log that was about to be begun"
                : null;
            if (what is not null)
            {
                return new KvDamage(storage.PathOf(name), 0, $"{what}, so the directory held a namespace, but {WhatToDo}");
            }
        }

        return null;
    }

    private static string? OfManifest(IStorage storage, string name)
    {
        using var file = storage.Open(name, isWritable: false);
        var bytes = new byte[Math.Min(file.Length, LogFormat.HeaderBytes)];
        var header = bytes.AsSpan(0, file.Read(bytes, 0));
        if (header.Length < LogFormat.HeaderBytes || !header.ContainsAnyExcept((byte)0))
        {
            return null;
        }

        long sequence;
        try
        {
            sequence = FileHeader.Parse(header, storage.PathOf(name), FileKind.Manifest, 0).Number;
        }
        catch (KvDamagedFileException)
        {
            // No opening leaves a header that is wrong: it is shorter than what a disk writes at once.
            return "the file is a damaged manifest";
        }

        if (sequence > 1)
        {
            return Invariant($"the file is a manifest that was replaced {sequence - 1} times");
        }

        try
        {
            return Manifest.Read(storage, name) is { IsFirst: false } ? "the file is a manifest that lists files" : null;
        }
        catch (KvDamagedFileException)
        {
            // The rest of the first manifest was not on the disk.
            return null;
        }
    }

    private static string? OfSpare(IStorage storage)
    {
        using var file = storage.Open(FileNames.Spare, isWritable: false);
        Span<byte> bytes = stackalloc byte[LogFormat.HeaderBytes];
        try
        {
            _ = FileHeader.Parse(bytes[..file.Read(bytes, 0)], storage.PathOf(FileNames.Spare), FileKind.Log, 0);
            return "the file is a log that was kept to become the next one";
        }
        catch (KvPersistenceException)
        {
            // A file of somebody else.
            return null;
        }
    }
}
