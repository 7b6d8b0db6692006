using KvStore.Persistence.Log;

namespace KvStore.CrashTests;

/// <summary>Every byte cut off and every bit flipped: the right prefix or a clear error, never wrong data.</summary>
public sealed class DamageTests
{
    private const string Log1 = "00000000000000000001.log";
    private const string Log2 = "00000000000000000002.log";
    private const string Snapshot1 = "00000000000000000001.snapshot";
    private const string Value1 = "00000000000000000001.value";

    private static readonly FilePersistenceOptions s_options = Stores.Small with { LogFileBytes = 64 * 1024 };

    [Fact]
    public async Task A_log_cut_off_anywhere_recovers_to_the_records_before_the_cut()
    {
        var states = new List<string>();
        var disk = await Stores.CrashedAsync(host => PutSomeAsync(host, states), s_options);
        var content = disk.Files[Log1];
        var used = UsedBytes(content);

        var prefix = 0;
        for (var length = 0; length <= used; length++)
        {
            var state = await TryOpenAsync(disk, Log1, content[..length]);
            if (length < 64)
            {
                state.Should().StartWith("damaged at", "the header ends after 64 bytes, this file after {0}", length);
                continue;
            }

            var index = states.IndexOf(state);
            index.Should().BeGreaterThanOrEqualTo(prefix, "a longer file ({0} bytes) never has less in it", length);
            prefix = index;
        }

        prefix.Should().Be(states.Count - 1);
    }

    [Fact]
    public async Task A_log_that_a_crash_left_with_any_bit_flipped_recovers_to_a_prefix_or_is_refused()
    {
        var states = new List<string>();
        var disk = await Stores.CrashedAsync(host => PutSomeAsync(host, states), s_options);
        var content = disk.Files[Log1];
        var used = UsedBytes(content);

        var prefixes = 0;
        await ForEveryBitAsync(content, used, async (flipped, place) =>
        {
            var state = await TryOpenAsync(disk, Log1, flipped);
            if (states.Contains(state))
            {
                prefixes++;

                // Whatever was followed by another flush is known to have been on the disk, and its loss is an error.
                state.Should().BeOneOf([states[^1], states[^2]], "only the last record can be taken for a torn one, at {0}", place);
            }
            else
            {
                state.Should().MatchRegex("^(damaged at|version)", "a bit was flipped at {0}", place);
            }
        });
        prefixes.Should().BePositive();
    }

    [Fact]
    public async Task A_log_that_was_closed_with_any_bit_flipped_is_refused()
    {
        var states = new List<string>();
        var disk = await Stores.ClosedAsync(host => PutSomeAsync(host, states), s_options);
        var content = disk.Files[Log1];

        await ForEveryBitAsync(content, content.Length, async (flipped, place) =>
        {
            var state = await TryOpenAsync(disk, Log1, flipped);
            state.Should().MatchRegex("^(damaged at|version)", "a bit was flipped at {0}", place);
        });
    }

    [Fact]
    public async Task Log_before_the_last_one_is_refused_when_cut_off_or_a_bit_is_flipped_anywhere()
    {
        var disk = await Stores.CrashedAsync(
            async host =>
            {
                for (var i = 0; i < 5; i++)
                {
                    await PutSomeAsync(host, []);
                }
            },
            Stores.Small with { LogFileBytes = 4096 });
        disk.Files.Should().ContainKey(Log2);
        var content = disk.Files[Log1];
        var used = UsedBytes(content);

        for (var length = 0; length < used; length += 3)
        {
            (await TryOpenAsync(disk, Log1, content[..length])).Should().StartWith("damaged at", "the file ends after {0} bytes", length);
        }

        await ForEveryBitAsync(content, used, async (flipped, place) =>
            (await TryOpenAsync(disk, Log1, flipped)).Should().MatchRegex("^(damaged at|version)", "a bit was flipped at {0}", place));
    }

    [Fact]
    public async Task A_snapshot_is_refused_wherever_it_is_cut_off_or_a_bit_is_flipped()
    {
        var disk = await Stores.CrashedAsync(
            async host =>
            {
                await PutSomeAsync(host, []);
                await host.Persistence.CompactAsync();
            },
            s_options);
        var content = disk.Files[Snapshot1];

        for (var length = 0; length < content.Length; length++)
        {
            (await TryOpenAsync(disk, Snapshot1, content[..length])).Should().StartWith("damaged at", "the file ends after {0} bytes", length);
        }

        (await TryOpenAsync(disk, Snapshot1, [.. content, 0])).Should().StartWith("damaged at");
        await ForEveryBitAsync(content, content.Length, async (flipped, place) =>
            (await TryOpenAsync(disk, Snapshot1, flipped)).Should().MatchRegex("^(damaged at|version)", "a bit was flipped at {0}", place));
    }

    [Fact]
    public async Task A_large_value_is_refused_where_it_is_cut_off_or_a_bit_is_flipped()
    {
        var value = new string('L', 1500);
        var disk = await Stores.ClosedAsync(host => host.PutLargeAsync("large", value), s_options);
        var content = disk.Files[Value1];

        for (var length = 0; length < content.Length; length += 7)
        {
            (await TryOpenAsync(disk, Value1, content[..length])).Should().StartWith("damaged at", "the file ends after {0} bytes", length);
        }

        await ForEveryBitAsync(content, content.Length, async (flipped, place) =>
            (await TryOpenAsync(disk, Value1, flipped)).Should().MatchRegex("^(damaged at|version)", "a bit was flipped at {0}", place));
    }

    [Theory]
    [InlineData(Log1, "is missing")]
    [InlineData(Log2, "is missing")]
    [InlineData(Value1, "is missing")]
    public async Task A_missing_file_is_an_error_that_names_it(string name, string reason)
    {
        var disk = await Stores.CrashedAsync(
            async host =>
            {
                await host.PutLargeAsync("large", new string('L', 2000));
                for (var i = 0; i < 8; i++)
                {
                    await PutSomeAsync(host, []);
                }
            },
            Stores.Small with { LogFileBytes = 4096 });
        var files = disk.Files.Where(file => file.Key != name);

        var act = () => Stores.OpenAsync(SimulatedDisk.With(files));

        var thrown = (await act.Should().ThrowAsync<KvDamagedFileException>()).Which;
        thrown.File.Should().Be("disk/" + name);
        thrown.Message.Should().Contain(name).And.Contain(reason);
    }

    [Fact]
    public async Task Damage_is_an_error_that_names_file_and_offset_and_what_to_do()
    {
        var disk = await Stores.ClosedAsync(host => PutSomeAsync(host, []), s_options);
        var content = (byte[])disk.Files[Log1].Clone();
        content[100] ^= 1;

        var act = () => Stores.OpenAsync(With(disk, Log1, content));

        var thrown = (await act.Should().ThrowAsync<KvDamagedFileException>()).Which;
        thrown.File.Should().Be("disk/" + Log1);
        thrown.Offset.Should().BeInRange(64, 100);
        thrown.Message.Should().Be(
            $"disk/{Log1} is damaged at byte {thrown.Offset}: the checksum of the record is wrong. Restore it from a copy, or open the directory with FilePersistenceOptions.ReadOnly to read what is whole.");
    }

    [Fact]
    public async Task An_unknown_newer_version_is_refused_and_says_so()
    {
        var disk = await Stores.ClosedAsync(host => PutSomeAsync(host, []), s_options);
        var content = (byte[])disk.Files[Log1].Clone();
        content[8] = 4;

        var act = () => Stores.OpenAsync(With(disk, Log1, content));

        (await act.Should().ThrowAsync<KvPersistenceException>())
            .WithMessage("*has format version 4; this version of KvStore reads versions 1 to 3*");
    }

    [Fact]
    public async Task Read_only_opens_what_is_whole_and_changes_nothing()
    {
        var disk = await Stores.ClosedAsync(
            async host =>
            {
                for (var i = 0; i < 50; i++)
                {
                    await host.PutAsync($"key {i}", $"value {i}");
                }
            },
            s_options);
        var content = (byte[])disk.Files[Log1].Clone();
        content[700] ^= 1;
        var damaged = With(disk, Log1, content);
        var steps = damaged.Steps;

        var host = await Stores.OpenAsync(damaged, s_options with { ReadOnly = true });

        host.State.Should().HaveCount(49, "one record is damaged");
        host.Recovery.Damages.Should().ContainSingle().Which.File.Should().Be("disk/" + Log1);
        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.ReadOnly);
        host.Persistence.Health.Reason.Should().Contain(Log1);
        var put = () => host.PutAsync("a", "one");
        (await put.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*ReadOnly*");
        var large = () => host.PutLargeAsync("a", "one");
        (await large.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*ReadOnly*");
        await host.Persistence.DisposeAsync();
        damaged.Steps.Should().Be(steps);
    }

    [Fact]
    public async Task Read_only_opens_a_damaged_snapshot_without_the_damaged_record()
    {
        var disk = await Stores.ClosedAsync(
            async host =>
            {
                for (var i = 0; i < 50; i++)
                {
                    await host.PutAsync($"key {i}", $"value {i}");
                }

                await host.Persistence.CompactAsync();
                await host.PutAsync("key 0", "newer");
            },
            s_options);
        var content = (byte[])disk.Files[Snapshot1].Clone();
        content[700] ^= 1;

        var host = await Stores.OpenAsync(With(disk, Snapshot1, content), s_options with { ReadOnly = true });

        host.State.Count.Should().BeInRange(49, 50);
        host.State["key 0"].Should().Be("newer");
        host.Recovery.Damages.Should().ContainSingle();
    }

    [Fact]
    public async Task After_a_kill_a_bit_flipped_in_any_acknowledged_record_is_refused()
    {
        var states = new List<string>();
        var disk = await Stores.CrashedAsync(host => PutSomeAsync(host, states), s_options);
        var content = disk.Files[Log1];
        var acknowledged = UsedBytes(content) - LogFormat.EndBytes;

        await ForEveryBitAsync(content, acknowledged, async (flipped, place) =>
            (await TryOpenAsync(disk, Log1, flipped)).Should().MatchRegex("^(damaged at|version)", "a bit was flipped at {0}", place));
    }

    [Fact]
    public async Task A_torn_last_record_is_dropped_and_reported()
    {
        var states = new List<string>();
        var disk = await Stores.CrashedAsync(host => PutSomeAsync(host, states), s_options);
        var content = (byte[])disk.Files[Log1].Clone();

        // As a power cut leaves it: without the mark that says that the record before it was on the disk.
        var used = UsedBytes(content) - LogFormat.EndBytes;
        content.AsSpan(used).Clear();
        content[used - 9] ^= 0x40;
        var torn = With(disk, Log1, content);

        var host = await Stores.OpenAsync(torn, s_options);

        Text(host).Should().Be(states[^2]);
        host.Recovery.TornTail!.File.Should().Be("disk/" + Log1);
        await host.PutAsync("a", "new");
        await host.Persistence.DisposeAsync();
        (await Stores.OpenAsync(torn, s_options)).Recovery.TornTail.Should().BeNull();
    }

    private static async Task PutSomeAsync(DictionaryHost host, List<string> states)
    {
        states.Add(Text(host));
        for (var i = 0; i < 12; i++)
        {
            await host.PutAsync($"key {i % 5}", $"value {i} {new string('v', i * 11)}", metadata: i % 3 == 0 ? "[1]" : "");
            states.Add(Text(host));
            if (i == 7)
            {
                await host.DeleteAsync("key 4");
                states.Add(Text(host));
            }

            if (i % 4 == 3)
            {
                await host.TouchAsync($"key {(i - 2) % 5}", 4_000_000_000 + (uint)i);
                states.Add(Text(host));
            }
        }
    }

    private static async Task<string> TryOpenAsync(SimulatedDisk disk, string name, byte[] content)
    {
        try
        {
            var host = await Stores.OpenAsync(With(disk, name, content), s_options);
            var text = Text(host);
            await host.Persistence.DisposeAsync();
            return text;
        }
        catch (KvDamagedFileException e)
        {
            e.File.Should().Be("disk/" + name);
            return $"damaged at {e.Offset}: {e.Reason}";
        }
        catch (KvPersistenceException e) when (e.Message.Contains("format version"))
        {
            return "version";
        }
    }

    private static async Task ForEveryBitAsync(byte[] content, int length, Func<byte[], (int Offset, int Bit), Task> check)
    {
        for (var offset = 0; offset < length; offset++)
        {
            for (var bit = 0; bit < 8; bit++)
            {
                var flipped = (byte[])content.Clone();
                flipped[offset] ^= (byte)(1 << bit);
                await check(flipped, (offset, bit));
            }
        }
    }

    private static SimulatedDisk With(SimulatedDisk disk, string name, byte[] content) =>
        SimulatedDisk.With(disk.Files.Select(file => file.Key == name ? KeyValuePair.Create(name, content) : file));

    // Records end at multiples of eight; behind the last one there are zeros.
    private static int UsedBytes(byte[] content) => (Array.FindLastIndex(content, b => b != 0) + 8) & -8;

    private static string Text(DictionaryHost host) =>
        string.Join('\n', host.State.Select(pair => $"{pair.Key}={pair.Value} until {host.DeadlineOf(pair.Key)}"));
}
