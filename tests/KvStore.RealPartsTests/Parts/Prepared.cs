using System.Text;

namespace KvStore.RealPartsTests.Parts;

/// <summary>Directories as a namespace leaves them, and what a directory that somebody handled comes to when it is opened.</summary>
internal static class Prepared
{
    public static FilePersistenceOptions Options { get; } = new()
    {
        LogFileBytes = 4 * 1024,
        CompactionBytesMin = 1024 * 1024,
        LargeValueBytes = 1024,
    };

    /// <summary>Fills a directory, in a way that leaves a snapshot, several logs and large values, and says what is in it.</summary>
    /// <param name="directory">The directory.</param>
    /// <param name="name">A part of every value, which distinguishes two directories.</param>
    /// <param name="compacts">Whether there is a snapshot.</param>
    public static async Task<SortedDictionary<string, string>> FillAsync(string directory, string name, bool compacts = true)
    {
        var state = new SortedDictionary<string, string>(StringComparer.Ordinal);
        await using var kv = await OpenAsync(directory);
        for (var i = 0; i < 30; i++)
        {
            await PutAsync(i, i % 10 == 9 ? 3000 : 300);
        }

        if (compacts)
        {
            await kv.CompactAsync();
        }

        for (var i = 20; i < 50; i++)
        {
            await PutAsync(i, i % 10 == 5 ? 3000 : 300);
        }

        return state;

        async Task PutAsync(int i, int length)
        {
            var key = $"key {i:D2}";
            state[key] = $"{name} {i} " + new string((char)('a' + (i % 26)), length);
            await kv.PutAsync(key, Encoding.ASCII.GetBytes(state[key]));
        }
    }

    public static Task<KvNamespace> OpenAsync(string directory, FilePersistenceOptions? options = null) =>
        Workload.OpenAsync(directory, options ?? Options);

    /// <summary>All of a namespace, as text.</summary>
    public static async Task<SortedDictionary<string, string>> ReadAsync(KvNamespace kv)
    {
        var state = new SortedDictionary<string, string>(StringComparer.Ordinal);
        await foreach (var key in kv.ListAllAsync())
        {
            state[key.Name] = await kv.GetTextAsync(key.Name) ?? "(listed, not got)";
        }

        return state;
    }

    /// <summary>Opens a directory and says what came of it: "whole", the error's message, or how it was silently wrong.</summary>
    public static async Task<Opening> OutcomeAsync(string directory, IReadOnlyDictionary<string, string> expected)
    {
        try
        {
            await using var kv = await OpenAsync(directory);
            var found = await ReadAsync(kv);
            var isWhole = found.Count == expected.Count && found.All(pair => expected.TryGetValue(pair.Key, out var value) && value == pair.Value);
            return isWhole ? new(true, "whole") : new(false, $"opened without a word with {found.Count} entries of {expected.Count}");
        }
        catch (KvPersistenceException e)
        {
            return new(true, e.Message);
        }
        catch (Exception e)
        {
            return new(false, $"not a clear error: {e}");
        }
    }

    /// <summary>Copies all files but the lock, which nobody can read while it is held.</summary>
    public static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.GetFiles(from).Where(file => !Path.GetFileName(file).StartsWith("lock", StringComparison.Ordinal)))
        {
            try
            {
                File.Copy(file, Path.Combine(to, Path.GetFileName(file)), overwrite: true);
            }
            catch (FileNotFoundException)
            {
                // Of a directory that is in use: removed since it was listed.
            }
        }
    }

    /// <summary>The files that hold data: not the lock.</summary>
    public static string[] Files(string directory) =>
        [.. Directory.GetFiles(directory).Select(path => Path.GetFileName(path)).Where(name => !name.StartsWith("lock", StringComparison.Ordinal)).Order()];
}

/// <summary>What opening came to.</summary>
/// <param name="IsSound">Whether it is what may happen: everything, or a clear error.</param>
/// <param name="Text">What happened.</param>
internal sealed record Opening(bool IsSound, string Text);
