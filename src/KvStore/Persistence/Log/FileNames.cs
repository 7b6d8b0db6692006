using System.Globalization;

namespace KvStore.Persistence.Log;

/// <summary>The names of files: a number of twenty digits, then what it is. The order of names is the order of numbers.</summary>
internal static class FileNames
{
    /// <summary>The file that says what the directory consists of.</summary>
    public const string Manifest = "manifest";

    /// <summary>A log file that nobody needs any more, kept to become the next one.</summary>
    public const string Spare = "spare";

    /// <summary>
    /// The first manifest of a copy while it is being made. Another name than that of every other manifest: alone in a directory, the
    /// one is what is left of a copy, the other of a namespace to which nothing was ever written.
    /// </summary>
    public const string CopyManifest = "manifest.copy.tmp";

    private const string TemporaryExtension = ".tmp";
    private const string LogExtension = ".log";
    private const string SnapshotExtension = ".snapshot";
    private const string ValueExtension = ".value";

    public static string Log(long number) => Of(number, LogExtension);

    public static string Snapshot(long number) => Of(number, SnapshotExtension);

    public static string Value(long number) => Of(number, ValueExtension);

    /// <summary>The name of a file that is not finished. It is removed when the directory is opened.</summary>
    public static string Temporary(string name) => name + TemporaryExtension;

    /// <summary>Whether a name is one that <see cref="Temporary"/> makes of a name of ours. Temporary files of others are not ours.</summary>
    public static bool IsTemporary(string name) =>
        name == CopyManifest
        || name.EndsWith(TemporaryExtension, StringComparison.Ordinal)
        && name[..^TemporaryExtension.Length] is var of && (of == Manifest || TryParse(of, out _, out _));

    /// <summary>Whether a name is that of a snapshot that is not finished.</summary>
    public static bool IsTemporarySnapshot(string name) => name.EndsWith(SnapshotExtension + TemporaryExtension, StringComparison.Ordinal) && IsTemporary(name);

    /// <summary>Reads a name. Names of anything else in the directory are not ours.</summary>
    public static bool TryParse(string name, out FileKind kind, out long number)
    {
        kind = Path.GetExtension(name) switch
        {
            LogExtension => FileKind.Log,
            SnapshotExtension => FileKind.Snapshot,
            ValueExtension => FileKind.Value,
            _ => default,
        };
        number = 0;
        var digits = Path.GetFileNameWithoutExtension(name.AsSpan());
        return kind != default
            && digits.Length == 20
            && long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out number)
            && number > 0;
    }

    private static string Of(long number, string extension) => number.ToString("D20", CultureInfo.InvariantCulture) + extension;
}
