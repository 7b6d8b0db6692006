using KvStore.Persistence.Log;
using KvStore.Persistence.Storage;

namespace KvStore.CrashTests;

/// <summary>Failures after which nothing needs to be opened again.</summary>
public sealed class PassingFailureTests
{
    private const string NoSpace = "No space left on device";

    [Fact]
    public async Task Reopened_after_a_large_value_that_failed_it_is_healthy()
    {
        var disk = new SimulatedDisk();
        await using var host = await Stores.OpenAsync(disk);
        disk.BeforeStep = (operation, name) =>
        {
            if (operation == "write" && name.EndsWith(".value", StringComparison.Ordinal))
            {
                throw new IOException("No space left on device");
            }
        };
        await FluentActions.Awaiting(() => host.PutLargeAsync("large", new string('L', 2000))).Should().ThrowAsync<KvPersistenceException>();
        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Degraded);
        disk.BeforeStep = null;

        await ((FilePersistence)host.Persistence).ReopenAsync();

        host.Persistence.Health.Should().Be(KvPersistenceHealth.Healthy);
    }

    [Theory]
    [InlineData("create", ".log")]
    [InlineData("create", ".value")]
    [InlineData("rename", ".log")]
    public async Task When_no_file_can_be_made_puts_fail_and_later_ones_succeed(string operation, string name)
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk);
        var refused = new List<string>();
        disk.BeforeStep = (its, of) =>
        {
            if (its == operation && of.Contains(name, StringComparison.Ordinal))
            {
                throw new IOException("Too many open files");
            }
        };
        for (var i = 0; i < 40; i++)
        {
            try
            {
                await (name == ".value" ? host.PutLargeAsync($"{i}", new string('L', 2000)) : host.PutAsync($"{i}", new string('v', 500)));
            }
            catch (KvPersistenceException e)
            {
                e.Message.Should().Contain("Too many open files");
                refused.Add($"{i}");
            }
        }

        refused.Should().NotBeEmpty();
        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Degraded);
        disk.BeforeStep = null;
        await host.PutLargeAsync("large", new string('L', 2000));
        await host.PutAsync("small", "x");
        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
        var expected = host.State;
        expected.Keys.Should().NotContain(refused);
        (await Stores.StateOfAsync(disk)).Should().Equal(expected);
        (await Stores.StateOfAsync(disk.Restart(0))).Should().Equal(expected);
    }

    [Fact]
    public async Task On_a_full_disk_deletes_succeed_and_puts_fail()
    {
        var disk = new SimulatedDisk();
        var options = Stores.Small with { LogFileBytes = 64 * 1024 };
        var host = await Stores.OpenAsync(disk, options);
        for (var i = 0; i < 40; i++)
        {
            await host.PutAsync($"{i}", new string('v', 1000));
        }

        // Full from now on: what has its blocks can be written, and nothing else.
        disk.BeforeStep = (operation, _) =>
        {
            if (operation == "create")
            {
                throw new IOException(NoSpace);
            }
        };
        var failed = 0;
        for (var i = 40; failed == 0; i++)
        {
            try
            {
                await host.PutAsync($"{i}", new string('v', 1000));
            }
            catch (KvPersistenceException e)
            {
                e.Message.Should().Contain(NoSpace);
                failed++;
            }
        }

        var both = Enumerable.Range(0, 20).SelectMany(i => new[] { host.DeleteAsync($"{i}"), host.PutAsync("late", "x" + new string('v', 1000)) }).ToArray();
        await Task.WhenAll(both.Where((_, i) => i % 2 == 0));
        foreach (var put in both.Where((_, i) => i % 2 == 1))
        {
            (await FluentActions.Awaiting(() => put).Should().ThrowAsync<KvPersistenceException>()).Which.Message.Should().Contain(NoSpace);
        }

        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Degraded);
        host.State.Keys.Should().NotContain(["0", "19", "late"]);
        (await Stores.StateOfAsync(disk)).Should().Equal(host.State);

        disk.BeforeStep = null;
        await host.PutAsync("again", "x");
        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
        var expected = host.State;
        (await Stores.StateOfAsync(disk.Restart(0))).Should().Equal(expected);
    }

    [Fact]
    public async Task Second_flush_of_a_batch_fails_and_only_the_durable_part_succeeds_and_returns()
    {
        for (var failing = 1; failing <= 6; failing++)
        {
            var disk = new SimulatedDisk();
            var host = await Stores.OpenAsync(disk);
            using var atFlush = new ManualResetEventSlim();
            using var proceed = new ManualResetEventSlim();
            var flushes = 0;
            disk.BeforeStep = (operation, name) =>
            {
                if (operation != "flush")
                {
                    return;
                }

                var flush = Interlocked.Increment(ref flushes);
                if (flush == 1)
                {
                    atFlush.Set();
                    proceed.Wait();
                }
                else if (flush == failing + 1)
                {
                    throw new IOException("Input/output error");
                }
            };

            // One batch that is spread over several files.
            var first = host.PutAsync("first", "x");
            atFlush.Wait();
            var others = Enumerable.Range(0, 60).Select(i => host.PutAsync($"{i:D2}", new string('v', 400))).ToArray();
            proceed.Set();
            await first;
            await Task.WhenAll(others).ContinueWith(_ => { }, TaskScheduler.Default);

            disk.BeforeStep = null;
            var acknowledged = others.Count(put => put.IsCompletedSuccessfully);
            var expected = host.State;
            expected.Should().HaveCount(acknowledged + 1);
            (await Stores.StateOfAsync(disk)).Should().Equal(expected, "flush {0} failed", failing);
            (await Stores.StateOfAsync(disk.Restart(0))).Should().Equal(expected, "flush {0} failed", failing);
            (await Stores.StateOfAsync(disk.Restart(1))).Should().Equal(expected, "flush {0} failed", failing);
        }
    }

    [Fact]
    public async Task Passing_failure_is_retried_after_a_pause_and_a_lasting_one_is_not()
    {
        var time = new FakeTimeProvider();
        var disk = new SimulatedDisk();
        using var storage = new RetryingStorage(disk, time);
        disk.Create("a").Dispose();
        var failures = 0;
        var attempts = 0;
        disk.BeforeStep = (operation, _) =>
        {
            if (operation is "rename" or "create" && Interlocked.Increment(ref attempts) <= failures)
            {
                throw new IOException("Somebody has the file.");
            }
        };
        async Task<Exception?> RunAsync(Action action)
        {
            attempts = 0;
            var run = Task.Run(action);
            while (!run.IsCompleted)
            {
                time.Advance(TimeSpan.FromMilliseconds(10));
                await Task.Yield();
            }

            return run.Exception?.InnerException;
        }

        failures = 3;
        (await RunAsync(() => storage.Rename("a", "b"))).Should().BeNull();
        attempts.Should().Be(4);
        disk.Exists("b").Should().BeTrue();

        failures = int.MaxValue;
        (await RunAsync(() => storage.Rename("b", "c"))).Should().BeOfType<IOException>();
        attempts.Should().Be(7);
        disk.BeforeStep = null;
        (await RunAsync(() => storage.Rename("none", "c"))).Should().BeOfType<FileNotFoundException>();
    }

    [Fact]
    public async Task Compactions_beside_writers_of_small_logs_lose_nothing_and_end_nothing()
    {
        var disk = new SimulatedDisk();
        await using var host = await Stores.OpenAsync(disk, Stores.Small with { CompactionBytesMin = 4096 });
        var writing = Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
        {
            for (var i = 0; i < 400; i++)
            {
                await host.PutAsync($"{writer} {i % 5}", $"{i} {new string('v', 300)}");
            }
        })).ToArray();
        var all = Task.WhenAll(writing);
        while (!all.IsCompleted)
        {
            await host.Persistence.CompactAsync();
        }

        await all;
        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
        (await Stores.StateOfAsync(disk)).Should().Equal(host.State);
    }

    [Theory]
    [InlineData(Durability.Immediate)]
    [InlineData(Durability.Buffered)]
    public async Task The_log_never_has_more_that_is_not_flushed_than_recovery_looks_through(Durability durability)
    {
        var disk = new SimulatedDisk();
        await using var host = await Stores.OpenAsync(disk, new FilePersistenceOptions { Durability = durability, LargeValueBytes = 16 << 20 });
        var flushed = 0L;
        var most = 0L;
        var name = disk.Files.Keys.Single(file => file.EndsWith(".log", StringComparison.Ordinal));
        disk.BeforeStep = (operation, file) =>
        {
            // What was written before this step is what the file has used.
            if (file.Contains(".log", StringComparison.Ordinal))
            {
                var used = Used(disk.Files[name]);
                most = Math.Max(most, used - flushed);
                flushed = operation == "flush" ? used : flushed;
            }
        };

        // In one batch, as far as the callers can bring that about: larger than what may be unflushed.
        await Task.WhenAll(Enumerable.Range(0, 6).Select(i => host.PutAsync($"{i}", new string((char)('a' + i), 4 << 20))));
        await host.Persistence.FlushAsync();

        most.Should().BeInRange(1 << 20, LogFormat.UnflushedBytesMax + (2 * LogFormat.EndBytes));
        var flipped = (byte[])disk.Files[name].Clone();
        flipped[LogFormat.HeaderBytes + LogFormat.RecordHeaderBytes + 100] ^= 1;
        var damaged = SimulatedDisk.With(disk.Files.Where(file => file.Key != name).Append(new(name, flipped)));
        await FluentActions.Awaiting(() => Stores.StateOfAsync(damaged)).Should().ThrowAsync<KvDamagedFileException>();
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(8, false)]
    public async Task A_later_record_at_exactly_the_limit_is_found_and_one_behind_it_is_not(int behind, bool isFound)
    {
        // A log by hand: a record as long as may be unflushed, then one that says that it was on the disk.
        var header = new byte[LogFormat.HeaderBytes];
        var directory = Guid.NewGuid();
        var written = FileHeader.Write(header, FileKind.Log, 1, directory);
        var seed = written.Seed;
        var first = new byte[LogFormat.UnflushedBytesMax + behind];
        Lay(first, revision: 1, flushedThrough: LogFormat.HeaderBytes);
        var second = new byte[48];
        Lay(second, revision: 2, flushedThrough: (uint)(LogFormat.HeaderBytes + first.Length));
        first[^10] ^= 1;
        var disk = SimulatedDisk.With([new("00000000000000000001.log", [.. header, .. first, .. second, .. new byte[4096]])]);
        (Manifest.New(directory) with { Sequence = 1, Files = [new(FileKind.Log, 1, written.Check)] }).Write(disk);

        var opening = () => Stores.StateOfAsync(disk);

        if (isFound)
        {
            var damage = (await opening.Should().ThrowAsync<KvDamagedFileException>()).Which;
            damage.File.Should().EndWith(".log");
            damage.Offset.Should().Be(LogFormat.HeaderBytes);
        }
        else
        {
            // No writer leaves this: it flushes before.
            (await opening()).Should().BeEmpty();
        }

        void Lay(byte[] record, long revision, uint flushedThrough)
        {
            var valueBytes = record.Length - LogFormat.RecordHeaderBytes - 1;
            LogRecord.Lay(record, new KvMutation { Key = "k"u8.ToArray(), Value = new byte[valueBytes], Revision = revision });
            LogRecord.Seal(record, seed, flushedThrough);
        }
    }

    private static long Used(byte[] content) => content.AsSpan().LastIndexOfAnyExcept((byte)0) + 1;
}
