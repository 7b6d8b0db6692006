using System.Diagnostics;

namespace KvStore.RealPartsTests;

/// <summary>
/// Files that people delete, swap, bring back from a backup or cut off, while nobody has the directory open. It opens with
/// everything that was acknowledged or with a clear error, never with a part and not a word.
/// </summary>
public sealed class HandledFileTests : IAsyncLifetime
{
    private readonly string _root = Directory.CreateTempSubdirectory("kvstore-handled-").FullName;
    private readonly List<string> _silences = [];
    private SortedDictionary<string, string> _state = [];
    private int _cases;

    private string Original => Path.Combine(_root, "original");

    public async Task InitializeAsync() => _state = await Prepared.FillAsync(Original, "mine");

    public Task DisposeAsync()
    {
        Directory.Delete(_root, recursive: true);
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Any_file_deleted_is_an_error_or_everything_is_there()
    {
        foreach (var file in Prepared.Files(Original))
        {
            await TryAsync($"{file} deleted", directory => File.Delete(Path.Combine(directory, file)));
        }

        MustNotBeSilent();
    }

    [Fact]
    public async Task Any_two_files_deleted_are_an_error_or_everything_is_there()
    {
        var files = Prepared.Files(Original);
        for (var i = 0; i < files.Length; i++)
        {
            for (var j = i + 1; j < files.Length; j++)
            {
                var (first, second) = (files[i], files[j]);
                await TryAsync($"{first} and {second} deleted", directory =>
                {
                    File.Delete(Path.Combine(directory, first));
                    File.Delete(Path.Combine(directory, second));
                });
            }
        }

        MustNotBeSilent();
    }

    [Theory]
    [InlineData(".log")]
    [InlineData(".snapshot")]
    [InlineData(".value")]
    public async Task All_files_of_a_kind_deleted_are_an_error(string extension)
    {
        await TryAsync($"all {extension} deleted", directory =>
        {
            foreach (var file in Directory.GetFiles(directory, "*" + extension))
            {
                File.Delete(file);
            }
        });

        MustNotBeSilent();
    }

    [Fact]
    public async Task Only_one_file_left_of_many_is_an_error()
    {
        // As of a copy that has only begun: also a snapshot by the name that it has until it is finished.
        foreach (var file in Prepared.Files(Original))
        {
            foreach (var name in file.EndsWith(".snapshot", StringComparison.Ordinal) ? new[] { file, file + ".tmp" } : [file])
            {
                await TryAsync($"only {name} left", directory =>
                {
                    foreach (var other in Directory.GetFiles(directory))
                    {
                        File.Delete(other);
                    }

                    File.Copy(Path.Combine(Original, file), Path.Combine(directory, name));
                });
            }
        }

        MustNotBeSilent();
    }

    [Fact]
    public async Task Newest_log_of_a_clean_close_missing_is_an_error()
    {
        foreach (var compacts in new[] { false, true })
        {
            var original = Path.Combine(_root, $"newest-{compacts}");
            var state = await Prepared.FillAsync(original, "newest", compacts);
            var logs = Directory.GetFiles(original, "*.log").Order().ToArray();
            for (var count = 1; count <= logs.Length; count++)
            {
                await TryAsync(
                    $"the newest {count} of {logs.Length} logs deleted",
                    directory =>
                    {
                        foreach (var log in logs.TakeLast(count))
                        {
                            File.Delete(Path.Combine(directory, Path.GetFileName(log)));
                        }
                    },
                    original,
                    state);
            }
        }

        MustNotBeSilent();
    }

    [Fact]
    public async Task Closed_file_cut_off_anywhere_is_an_error()
    {
        // Records begin at multiples of eight, in every version of the format.
        foreach (var file in Prepared.Files(Original))
        {
            var length = new FileInfo(Path.Combine(Original, file)).Length;
            var step = Math.Max(8, length / LongForm.Times(24) / 8 * 8);
            for (var end = 0L; end < length; end += step)
            {
                await TryAsync($"{file} of {length} bytes cut off at {end}", directory =>
                {
                    using var stream = new FileStream(Path.Combine(directory, file), FileMode.Open);
                    stream.SetLength(end);
                });
            }
        }

        MustNotBeSilent();
    }

    [Fact]
    public async Task Newest_log_cut_off_at_every_record_is_an_error()
    {
        foreach (var file in Directory.GetFiles(Original, "*.log").Select(path => Path.GetFileName(path)))
        {
            var length = new FileInfo(Path.Combine(Original, file)).Length;
            for (var end = 0L; end < length; end += 8)
            {
                // Cut off there and filled with zeros again, as a file that is written ahead looks.
                await TryAsync($"{file} of {length} bytes zeroed from {end} on", directory =>
                {
                    using var stream = new FileStream(Path.Combine(directory, file), FileMode.Open);
                    stream.SetLength(end);
                    stream.SetLength(length);
                });
                end += Math.Max(8, (int)(72 / LongForm.Factor) / 8 * 8);
            }
        }

        MustNotBeSilent();
    }

    [Fact]
    public async Task Files_with_their_names_swapped_are_an_error()
    {
        var files = Prepared.Files(Original);
        foreach (var extension in new[] { ".log", ".value" })
        {
            var its = files.Where(file => file.EndsWith(extension, StringComparison.Ordinal)).ToArray();
            its.Length.Should().BeGreaterThan(1);
            for (var i = 1; i < its.Length; i++)
            {
                await TryAsync($"{its[i - 1]} and {its[i]} swapped", directory =>
                {
                    File.Copy(Path.Combine(Original, its[i - 1]), Path.Combine(directory, its[i]), overwrite: true);
                    File.Copy(Path.Combine(Original, its[i]), Path.Combine(directory, its[i - 1]), overwrite: true);
                });
            }
        }

        MustNotBeSilent();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Older_copy_of_any_file_is_an_error_or_everything_is_there(bool compacts)
    {
        // Saved while it was open, as a backup program does, and each file alone brought back after it was closed.
        var later = Path.Combine(_root, "later");
        var saved = Path.Combine(_root, "saved");
        SortedDictionary<string, string> state;
        Prepared.Copy(Original, later);
        await using (var kv = await Prepared.OpenAsync(later))
        {
            await PutAsync(kv, 0, 12);
            Prepared.Copy(later, saved);
            await PutAsync(kv, 6, 20);
            if (compacts)
            {
                await kv.CompactAsync();
                await PutAsync(kv, 20, 25);
            }

            state = await Prepared.ReadAsync(kv);
        }

        foreach (var file in Prepared.Files(saved))
        {
            await TryAsync(
                $"{file} as it was before", directory => File.Copy(Path.Combine(saved, file), Path.Combine(directory, file), overwrite: true), later, state);
        }

        foreach (var extension in new[] { ".log", ".snapshot", ".value" })
        {
            await TryAsync(
                $"all {extension} as they were before",
                directory =>
                {
                    Array.ForEach(Directory.GetFiles(directory, "*" + extension), File.Delete);
                    foreach (var file in Directory.GetFiles(saved, "*" + extension))
                    {
                        File.Copy(file, Path.Combine(directory, Path.GetFileName(file)));
                    }
                },
                later,
                state);
        }

        MustNotBeSilent();

        static async Task PutAsync(KvNamespace kv, int from, int to)
        {
            for (var i = from; i < to; i++)
            {
                await kv.PutAsync($"key {i:D2}", $"later {from} {i} " + new string('l', i % 10 == 9 ? 3000 : 100));
            }
        }
    }

    [Fact]
    public async Task File_of_another_directory_is_an_error()
    {
        // The same operations, so the same names, lengths and numbers; other values, and another directory.
        var foreign = Path.Combine(_root, "foreign");
        await Prepared.FillAsync(foreign, "them");
        foreach (var file in Prepared.Files(Original).Where(file => File.Exists(Path.Combine(foreign, file))))
        {
            await TryAsync($"{file} of another directory", directory => File.Copy(Path.Combine(foreign, file), Path.Combine(directory, file), overwrite: true));
        }

        _cases.Should().BeGreaterThan(3, "the two directories have files of the same names");
        MustNotBeSilent();
    }

    [Fact]
    public async Task Later_log_of_another_directory_is_an_error()
    {
        var foreign = Path.Combine(_root, "foreign");
        await Prepared.FillAsync(foreign, "them", compacts: false);
        await Prepared.FillAsync(foreign, "them again", compacts: false);
        var newest = Directory.GetFiles(Original, "*.log").Max()!;
        var next = long.Parse(Path.GetFileNameWithoutExtension(newest), System.Globalization.CultureInfo.InvariantCulture) + 1;
        var file = Directory.GetFiles(foreign, "*.log").Select(path => Path.GetFileName(path)).FirstOrDefault(name => name == $"{next:D20}.log");
        file.Should().NotBeNull("the other directory has more logs");
        await TryAsync($"{file} of another directory added", directory => File.Copy(Path.Combine(foreign, file!), Path.Combine(directory, file!)));

        MustNotBeSilent();
    }

    [Theory]
    [InlineData(".log")]
    [InlineData(".snapshot")]
    [InlineData(".value")]
    public async Task Directory_named_as_a_file_is_an_error(string extension)
    {
        var file = Prepared.Files(Original).Last(name => name.EndsWith(extension, StringComparison.Ordinal));
        await TryAsync($"{file} is a directory", directory =>
        {
            File.Delete(Path.Combine(directory, file));
            Directory.CreateDirectory(Path.Combine(directory, file));
        });

        MustNotBeSilent();
    }

    [Fact]
    public async Task Fifo_named_as_any_file_is_an_error_and_nobody_waits_for_it()
    {
        foreach (var file in Prepared.Files(Original).Append("lock"))
        {
            await TryAsync($"{file} is a fifo", directory => MakeFifo(Path.Combine(directory, file)));
        }

        // Also one that nobody had: the next log, the next snapshot, what is not finished.
        var next = Directory.GetFiles(Original, "*.log").Select(path => long.Parse(Path.GetFileNameWithoutExtension(path), System.Globalization.CultureInfo.InvariantCulture)).Max() + 1;
        foreach (var name in new[] { $"{next:D20}.log", $"{next:D20}.snapshot", $"{next:D20}.snapshot.tmp", "spare", "99999999999999999999.value" })
        {
            await TryAsync($"{name} is a fifo", directory => MakeFifo(Path.Combine(directory, name)));
        }

        MustNotBeSilent();
    }

    [Fact]
    public async Task Files_of_others_are_left_alone()
    {
        string[] names = ["notes.tmp", "spare", "backup.tmp", "00000000000000000001.log.bak", "readme.txt", "1.value", "manifest.old.tmp"];
        var directory = Path.Combine(_root, "others");
        Prepared.Copy(Original, directory);
        foreach (var name in names)
        {
            await File.WriteAllTextAsync(Path.Combine(directory, name), $"mine: {name}");
        }

        await using (var kv = await Prepared.OpenAsync(directory))
        {
            for (var i = 0; i < 60; i++)
            {
                await kv.PutAsync($"key {i % 7}", new string('x', 400));
                if (i % 20 == 19)
                {
                    await kv.CompactAsync();
                }
            }
        }

        foreach (var name in names)
        {
            var path = Path.Combine(directory, name);
            (File.Exists(path) ? await File.ReadAllTextAsync(path) : "(removed)").Should().Be($"mine: {name}");
        }
    }

    [Fact]
    public async Task Copy_that_was_cancelled_anywhere_is_an_error_or_whole()
    {
        var source = Path.Combine(_root, "source");
        Prepared.Copy(Original, source);
        await using var kv = await Prepared.OpenAsync(source);
        var isFinished = false;
        for (var micros = 0; !isFinished && micros < 400_000; micros += Math.Max(100, micros / 6))
        {
            var target = Path.Combine(_root, $"copy-{micros}");
            using var cancellation = new CancellationTokenSource();
            var copying = Task.Run(() => kv.SnapshotAsync(target, cancellation.Token).AsTask());
            var end = Stopwatch.GetTimestamp() + (micros * (Stopwatch.Frequency / 1_000_000));
            while (Stopwatch.GetTimestamp() < end)
            {
                Thread.Yield();
            }

            await cancellation.CancelAsync();
            try
            {
                await copying;
                isFinished = true;
            }
            catch (OperationCanceledException)
            {
                if (!Directory.Exists(target) || !Directory.EnumerateFileSystemEntries(target).Any())
                {
                    // Nothing was begun, and nothing there says otherwise.
                    continue;
                }
            }

            await JudgeAsync($"a copy cancelled after {micros} microseconds", target, _state);
        }

        MustNotBeSilent();
    }

    [Fact]
    public async Task Any_part_of_a_copy_is_an_error()
    {
        var copy = Path.Combine(_root, "copy");
        await using (var kv = await Prepared.OpenAsync(Original))
        {
            await kv.SnapshotAsync(copy);
        }

        (await Prepared.OutcomeAsync(copy, _state)).Text.Should().Be("whole");
        var files = Prepared.Files(copy);
        var random = new Random(LongForm.Seed);
        for (var i = 0; i < LongForm.Times(60); i++)
        {
            var kept = files.Where(_ => random.Next(2) == 0).ToArray();
            if (kept.Length == 0 || kept.Length == files.Length)
            {
                continue;
            }

            await TryAsync(
                $"only {string.Join(", ", kept)} of a copy ({LongForm.Again})",
                directory =>
                {
                    foreach (var file in files.Except(kept))
                    {
                        File.Delete(Path.Combine(directory, file));
                    }
                },
                copy);
        }

        MustNotBeSilent();
    }

    [Fact]
    public async Task Lock_file_deleted_while_closed_changes_nothing()
    {
        await TryAsync("the lock deleted", directory => Array.ForEach(Directory.GetFiles(directory, "lock*"), File.Delete));

        MustNotBeSilent();
    }

    private async Task TryAsync(string what, Action<string> handle, string? original = null, IReadOnlyDictionary<string, string>? state = null)
    {
        var directory = Path.Combine(_root, "handled");
        Prepared.Copy(original ?? Original, directory);
        handle(directory);
        await JudgeAsync(what, directory, state ?? _state);
        Directory.Delete(directory, recursive: true);
    }

    private async Task JudgeAsync(string what, string directory, IReadOnlyDictionary<string, string> state)
    {
        _cases++;
        var opening = Task.Run(() => Prepared.OutcomeAsync(directory, state));
        if (await Task.WhenAny(opening, Task.Delay(TimeSpan.FromSeconds(30))) != opening)
        {
            _silences.Add($"{what}: opening stands still");
            MustNotBeSilent();
        }

        var outcome = await opening;
        if (!outcome.IsSound)
        {
            _silences.Add($"{what}: {outcome.Text}");
        }
    }

    private static void MakeFifo(string path)
    {
        File.Delete(path);
        using var process = Process.Start(new ProcessStartInfo("mkfifo", [path]))!;
        process.WaitForExit();
    }

    private void MustNotBeSilent() => _silences.Should().BeEmpty("of {0} cases each is an error or shows everything", _cases);
}
