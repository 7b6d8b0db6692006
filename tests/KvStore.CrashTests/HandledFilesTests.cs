namespace KvStore.CrashTests;

/// <summary>
/// People handle files: what is missing, cut off, older, foreign or half is an error that names it; absence is never taken
/// for emptiness, and files of others are left alone.
/// </summary>
public sealed class HandledFilesTests
{
    private const string Manifest = "manifest";
    private const string Log1 = "00000000000000000001.log";
    private const string Log2 = "00000000000000000002.log";

    private static readonly FilePersistenceOptions s_readOnly = Stores.Small with { ReadOnly = true };

    public static TheoryData<bool> ClosedOrNot => [true, false];

    [Theory]
    [MemberData(nameof(ClosedOrNot))]
    public async Task Each_file_that_goes_missing_is_named(bool isClosed)
    {
        var disk = await ManyFilesAsync(isClosed);
        var own = disk.Files.Keys.Where(name => name is not ("lock" or "lock.pid" or "spare")).ToArray();
        own.Should().Contain(name => name.EndsWith(".snapshot")).And.Contain(name => name.EndsWith(".log")).And.Contain(name => name.EndsWith(".value"));
        foreach (var name in own)
        {
            var error = await RefusalAsync(SimulatedDisk.With(disk.Files.Where(file => file.Key != name)));

            error.File.Should().Be("disk/" + name);
            error.Reason.Should().Contain("missing");
        }
    }

    [Theory]
    [MemberData(nameof(ClosedOrNot))]
    public async Task All_logs_missing_is_not_an_empty_namespace(bool isClosed)
    {
        foreach (var kept in new[] { "manifest", "snapshot", "value", "none of them" })
        {
            var disk = await ManyFilesAsync(isClosed);
            var files = disk.Files.Where(file => !file.Key.EndsWith(".log") && (kept != "manifest" || file.Key == Manifest)
                && (kept is not ("snapshot" or "value") || file.Key.EndsWith(kept)));

            (await RefusalAsync(SimulatedDisk.With(files))).Reason.Should().Contain("missing", "only {0} was kept", kept);
        }
    }

    [Fact]
    public async Task A_log_that_was_closed_is_refused_wherever_it_is_cut_off()
    {
        var disk = await Stores.ClosedAsync(async host =>
        {
            for (var i = 0; i < 20; i++)
            {
                await host.PutAsync($"key {i}", $"value {i}");
            }
        });
        var log = disk.Files[Log1];
        for (var length = 0; length < log.Length; length++)
        {
            (await RefusalAsync(With(disk, Log1, log[..length]))).File.Should().Be("disk/" + Log1);
        }
    }

    [Fact]
    public async Task A_log_from_before_the_last_close_is_refused()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        await host.PutAsync("a", "one");
        var older = disk.Files[Log1];
        await host.PutAsync("a", "two");
        await host.Persistence.DisposeAsync();

        (await RefusalAsync(With(disk, Log1, older))).File.Should().Be("disk/" + Log1);
    }

    [Fact]
    public async Task An_older_manifest_is_refused()
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        await host.PutAsync("a", new string('1', 3000));
        var older = disk.Files[Manifest];
        await host.PutAsync("a", new string('2', 3000));
        await host.PutAsync("a", new string('3', 3000));
        await host.Persistence.CompactAsync();
        await host.PutAsync("a", "four");
        await host.Persistence.DisposeAsync();

        await RefusalAsync(With(disk, Manifest, older));
    }

    [Theory]
    [InlineData("log")]
    [InlineData("snapshot")]
    [InlineData("value")]
    [InlineData("manifest")]
    public async Task A_file_of_another_directory_is_named(string kind)
    {
        var disk = await ManyFilesAsync(isClosed: true);
        var other = await ManyFilesAsync(isClosed: true);
        foreach (var name in disk.Files.Keys.Where(name => name.EndsWith(kind)).ToArray())
        {
            var error = await RefusalAsync(With(disk, name, other.Files[name]));
            if (kind != "manifest")
            {
                error.File.Should().Be("disk/" + name);
                error.Reason.Should().MatchRegex("another (directory|value)");
            }
        }
    }

    [Theory]
    [InlineData("log", 9)]
    [InlineData("snapshot", 9)]
    [InlineData("value", 900_000)]
    public async Task A_file_of_another_directory_under_a_free_name_is_named_and_left(string kind, long number)
    {
        var disk = await ManyFilesAsync(isClosed: true);
        var other = await Renumbered(kind, number);
        var name = $"{number:D20}.{kind}";
        var with = SimulatedDisk.With(disk.Files.Append(new(name, other)));

        (await RefusalAsync(with)).File.Should().Be("disk/" + name);

        with.Files.Should().ContainKey(name);
    }

    [Fact]
    public async Task A_file_of_a_copy_that_went_its_own_way_is_refused()
    {
        var source = new SimulatedDisk();
        var host = await Stores.OpenAsync(source);
        await host.PutAsync("a", "one");
        await host.Persistence.DisposeAsync();
        var copy = SimulatedDisk.With(source.Files);
        foreach (var disk in new[] { source, copy })
        {
            var again = await Stores.OpenAsync(disk);
            await again.PutAsync("b", "same length");
            await again.Persistence.DisposeAsync();
        }

        var error = await RefusalAsync(With(source, Log2, copy.Files[Log2]));

        error.File.Should().Be("disk/" + Log2);
        error.Reason.Should().Contain("another one than the manifest lists");
    }

    [Fact]
    public async Task Half_a_copy_is_refused_at_whatever_step_it_ended()
    {
        var complete = 0;
        for (var step = 1; complete == 0; step++)
        {
            var host = await Stores.OpenAsync(new SimulatedDisk());
            await host.PutLargeAsync("large", new string('L', 2000));
            for (var i = 0; i < 10; i++)
            {
                await host.PutAsync($"key {i}", new string('v', 900));
            }

            var target = new SimulatedDisk();
            target.CutAt(step);
            try
            {
                await ((FilePersistence)host.Persistence).CopyToAsync(target);
                complete++;
            }
            catch (Exception) when (target.IsOff)
            {
                // Cut off at this step.
            }

            for (var seed = 0; seed < 4; seed++)
            {
                var half = target.Restart(seed);
                if (complete == 0 && half.Files.Count > 0)
                {
                    (await FailureAsync(half) is null ? (await Stores.StateOfAsync(half)).Count : -1).Should().BeOneOf(
                        [-1, host.State.Count], "the copy ended at step {0}, seed {1}, with {2}", step, seed, string.Join(", ", half.Files.Keys));
                }
            }

            if (complete > 0)
            {
                (await Stores.StateOfAsync(target)).Should().Equal(host.State);
                step.Should().BeGreaterThan(10);
            }
        }
    }

    [Fact]
    public async Task A_copy_that_was_cancelled_is_refused_and_says_what_it_is()
    {
        var host = await Stores.OpenAsync(new SimulatedDisk());
        await host.PutAsync("a", "one");
        using var cancellation = new CancellationTokenSource();
        host.BeforeShown = cancellation.CancelAsync;
        var target = new SimulatedDisk();
        var copy = () => ((FilePersistence)host.Persistence).CopyToAsync(target, cancellation.Token).AsTask();
        await copy.Should().ThrowAsync<OperationCanceledException>();

        (await RefusalAsync(target)).Reason.Should().Contain("half a copy");
        (await Stores.OpenAsync(target, s_readOnly)).Recovery.Damages.Should().Contain(damage => damage.Reason.Contains("half a copy"));
    }

    [Fact]
    public async Task A_copy_of_a_namespace_that_was_never_written_to_opens_empty()
    {
        var host = await Stores.OpenAsync(new SimulatedDisk());
        var target = new SimulatedDisk();
        await ((FilePersistence)host.Persistence).CopyToAsync(target);

        (await Stores.StateOfAsync(target)).Should().BeEmpty();
    }

    [Fact]
    public async Task Half_a_copy_of_version_1_is_refused()
    {
        var disk = SimulatedDisk.With([new("00000000000000000003.snapshot.tmp", new byte[500])]);

        (await RefusalAsync(disk)).Reason.Should().Contain("half a copy");
    }

    [Fact]
    public async Task Files_of_others_stay_as_they_are()
    {
        var others = new Dictionary<string, byte[]>
        {
            ["notes.tmp"] = [1],
            ["spare"] = [2, 2],
            ["5.log"] = [3],
            ["upload.snapshot.tmp"] = [4],
            ["Manifest"] = [5],
            [".tmp"] = [6],
            ["00000000000000000001.log.bak"] = [7],
        };
        var disk = SimulatedDisk.With(others);
        for (var round = 0; round < 3; round++)
        {
            var host = await Stores.OpenAsync(disk, Stores.Small with { CompactionBytesMin = 4096 });
            for (var i = 0; i < 100; i++)
            {
                await host.PutAsync("a", new string('v', 1000));
            }

            await host.Persistence.CompactAsync();
            await host.Persistence.DisposeAsync();
        }

        foreach (var (name, content) in others)
        {
            disk.Files.Should().ContainKey(name).WhoseValue.Should().Equal(content);
        }
    }

    [Theory]
    [InlineData("manifest", "manifest.tmp", "replaced")]
    [InlineData(".log", "spare", "kept to become the next one")]
    [InlineData(".log", "00000000000000000002.log.tmp", "about to be begun")]
    public async Task The_last_file_under_a_temporary_name_is_not_an_empty_namespace(string file, string name, string reason)
    {
        foreach (var isClosed in new[] { true, false })
        {
            var disk = await ManyFilesAsync(isClosed);
            var content = disk.Files.Last(its => its.Key.EndsWith(file, StringComparison.Ordinal)).Value;
            var left = SimulatedDisk.With([new(name, content), new("lock", [])]);

            var error = await RefusalAsync(left);

            error.File.Should().Be("disk/" + name);
            error.Reason.Should().Contain(reason).And.Contain("missing").And.Contain("remove this file");
            left.Files[name].Should().Equal(content);
            left.Delete(name);
            (await Stores.StateOfAsync(left)).Should().BeEmpty("that is what the error says to do");
        }
    }

    [Fact]
    public async Task Any_manifest_but_the_first_under_its_temporary_name_is_refused()
    {
        // As it is after each change of a short life, one that was never written to among them, and damaged.
        var manifests = new List<byte[]>();
        var disk = new SimulatedDisk();
        disk.BeforeStep = (operation, _) =>
        {
            if (operation != "flush directory" && disk.Files.TryGetValue(Manifest, out var manifest))
            {
                manifests.Add(manifest);
            }
        };
        for (var i = 0; i < 3; i++)
        {
            var host = await Stores.OpenAsync(disk);
            await host.PutAsync($"{i}", "x");
            await host.PutLargeAsync("large", new string('L', 2000));
            await host.Persistence.DisposeAsync();
        }

        var empty = new SimulatedDisk();
        await (await Stores.OpenAsync(empty)).Persistence.DisposeAsync();
        manifests.Add(empty.Files[Manifest]);
        manifests.Add(With(disk, Manifest, Flipped(disk.Files[Manifest], 70)).Files[Manifest]);
        manifests.Add(With(disk, Manifest, Flipped(disk.Files[Manifest], 20)).Files[Manifest]);
        var later = manifests.Where(manifest => manifest.AsSpan(KvStore.Persistence.Log.LogFormat.HeaderNumberOffset)[0] != 1).ToArray();
        later.Should().HaveCountGreaterThan(5);
        foreach (var manifest in later)
        {
            (await RefusalAsync(SimulatedDisk.With([new("manifest.tmp", manifest)]))).File.Should().Be("disk/manifest.tmp");
        }

        static byte[] Flipped(byte[] content, int at)
        {
            content = (byte[])content.Clone();
            content[at] ^= 1;
            return content;
        }
    }

    [Fact]
    public async Task An_interrupted_first_opening_leaves_a_directory_that_opens()
    {
        for (var step = 1; ; step++)
        {
            var disk = new SimulatedDisk();
            disk.CutAt(step);
            try
            {
                await Stores.OpenAsync(disk);
                step.Should().BeGreaterThan(5);
                break;
            }
            catch (Exception e) when (e is KvPersistenceException or PowerCutException)
            {
                // As killed, and as without power.
                (await Stores.StateOfAsync(SimulatedDisk.With(disk.Files))).Should().BeEmpty();
                for (var seed = 0; seed < 20; seed++)
                {
                    (await Stores.StateOfAsync(disk.Restart(seed))).Should().BeEmpty();
                }
            }
        }

        // And in the middle of the first write.
        var first = new SimulatedDisk();
        (KvStore.Persistence.Log.Manifest.New(Guid.NewGuid()) with { Sequence = 1 }).Write(first);
        var whole = first.Files[Manifest];
        for (var length = 0; length <= whole.Length; length++)
        {
            (await Stores.StateOfAsync(SimulatedDisk.With([new("manifest.tmp", whole[..length])]))).Should().BeEmpty();
            (await Stores.StateOfAsync(SimulatedDisk.With([new("manifest.tmp", new byte[length])]))).Should().BeEmpty();
        }
    }

    [Fact]
    public async Task To_be_read_only_a_directory_must_hold_a_namespace()
    {
        var act = () => Stores.OpenAsync(new SimulatedDisk(), s_readOnly);

        (await act.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*holds no namespace*");
    }

    [Fact]
    public async Task Read_only_shows_what_is_left_and_says_what_is_missing()
    {
        var disk = await ManyFilesAsync(isClosed: true);
        var last = disk.Files.Keys.Where(name => name.EndsWith(".log")).Max()!;

        var host = await Stores.OpenAsync(SimulatedDisk.With(disk.Files.Where(file => file.Key != last)), s_readOnly);

        host.State.Should().NotBeEmpty();
        host.Recovery.Damages.Should().ContainSingle("found {0}", string.Join("; ", host.Recovery.Damages)).Which.Should().Match<KvDamage>(damage => damage.File == "disk/" + last && damage.Reason.Contains("missing"));
    }

    private static async Task<SimulatedDisk> ManyFilesAsync(bool isClosed)
    {
        async Task WriteAsync(DictionaryHost host)
        {
            await host.PutLargeAsync("large", new string('L', 2000));
            for (var i = 0; i < 20; i++)
            {
                await host.PutAsync($"key {i}", new string('v', 900));
                if (i == 6)
                {
                    await host.Persistence.CompactAsync();
                }
            }
        }

        return isClosed ? await Stores.ClosedAsync(WriteAsync) : await Stores.CrashedAsync(WriteAsync);
    }

    private static async Task<byte[]> Renumbered(string kind, long number)
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        for (var i = 1; i < number && kind != "value"; i++)
        {
            await host.PutAsync("a", "one");
            await host.Persistence.CompactAsync();
        }

        if (kind == "value")
        {
            // Numbers go on behind the highest that is there.
            var persistence = host.Persistence;
            await persistence.DisposeAsync();
            var bytes = new byte[200];
            KvStore.Persistence.Log.FileHeader.Write(bytes, KvStore.Persistence.Log.FileKind.Value, number, Guid.NewGuid());
            return bytes;
        }

        await host.PutAsync("a", "one");
        if (kind == "snapshot")
        {
            await host.Persistence.CompactAsync();
        }

        return disk.Files[$"{number:D20}.{kind}"];
    }

    private static SimulatedDisk With(SimulatedDisk disk, string name, byte[] content) =>
        SimulatedDisk.With(disk.Files.Select(file => file.Key == name ? KeyValuePair.Create(name, content) : file));

    /// <summary>Opening is refused, twice in the same way, and nothing is changed by it.</summary>
    private static async Task<KvDamagedFileException> RefusalAsync(SimulatedDisk disk)
    {
        var before = disk.Steps;
        var error = (await FailureAsync(disk)).Should().BeOfType<KvDamagedFileException>().Which;
        (await FailureAsync(disk))!.Message.Should().Be(error.Message);
        disk.Steps.Should().Be(before);
        return error;
    }

    private static async Task<Exception?> FailureAsync(SimulatedDisk disk)
    {
        try
        {
            var host = await Stores.OpenAsync(disk);
            await host.Persistence.DisposeAsync();
            return null;
        }
        catch (Exception e)
        {
            return e;
        }
    }
}
