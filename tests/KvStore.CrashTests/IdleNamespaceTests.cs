using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using KvStore.Persistence.Log;

namespace KvStore.CrashTests;

/// <summary>Many namespaces that nobody writes to: what they cost, and what happens when there are too many.</summary>
public sealed class IdleNamespaceTests : IDisposable
{
    private const int AbortedExitCode = 134;
    private const string EndOfMemory = "Out of memory.";

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-idle-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData(Durability.Interval)]
    [InlineData(Durability.Buffered)]
    public async Task A_log_that_nobody_writes_to_has_no_timer(Durability durability)
    {
        var time = new CountingTimeProvider();
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, Stores.Small with { Durability = durability }, time);
        time.ArmedCount.Should().Be(0);
        for (var round = 0; round < 3; round++)
        {
            await host.PutAsync($"{round}", "v");
            time.ArmedCount.Should().Be(1);
            for (var waited = Stopwatch.StartNew(); time.ArmedCount > 0 && waited.Elapsed < TimeSpan.FromSeconds(60);)
            {
                time.Advance(Stores.Small.Interval);
                await Task.Delay(1);
            }

            time.ArmedCount.Should().Be(0);
            var asWritten = await Stores.StateOfAsync(disk);
            asWritten.Should().HaveCount(round + 1);
        }

        if (durability == Durability.Interval)
        {
            (await Stores.StateOfAsync(disk.Restart(0))).Should().HaveCount(3);
        }
    }

    [Theory]
    [InlineData(Durability.Interval)]
    [InlineData(Durability.Buffered)]
    public async Task A_namespace_that_nobody_disposed_is_collected_after_what_it_took_is_written(Durability durability)
    {
        var weak = await LeaveAsync(durability);
        for (var waited = Stopwatch.StartNew(); weak.IsAlive && waited.Elapsed < TimeSpan.FromSeconds(60);)
        {
            await Task.Delay(20);
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        weak.IsAlive.Should().BeFalse();
        KvNamespace? again = null;
        for (var waited = Stopwatch.StartNew(); again is null;)
        {
            try
            {
                again = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions { Persistence = new FilePersistence(_directory) });
            }
            catch (KvDirectoryLockedException) when (waited.Elapsed < TimeSpan.FromSeconds(60))
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        }

        (await again.GetTextAsync("key")).Should().Be("value");
        await again.DisposeAsync();
    }

    [RealPartFact(RealPart.Unix)]
    public async Task Where_no_descriptors_are_left_nothing_is_lost_and_the_error_names_the_limit()
    {
        const int Limit = 400;
        string[]? lines = null;
        for (var attempt = 0; lines is null; attempt++)
        {
            // The runtime ends the process when its thread pool cannot start a thread, which takes a descriptor.
            attempt.Should().BeLessThan(20);
            lines = await RunLimitedAsync(Limit, "few-descriptors");
            if (lines is [EndOfMemory])
            {
                lines = null;
                Directory.Delete(_directory, recursive: true);
                Directory.CreateDirectory(_directory);
            }
        }

        lines[1].Should().Contain("ulimit -n").And.Contain(Limit.ToString(CultureInfo.InvariantCulture)).And.Contain(_directory);
        int.Parse(lines[^1]["opened ".Length..], CultureInfo.InvariantCulture).Should().BeGreaterThan(Limit - 100, "each takes one descriptor, that of its directory");
    }

    [RealPartTheory(RealPart.Linux)]
    [InlineData(Durability.Immediate)]
    [InlineData(Durability.Buffered)]
    public async Task Nine_hundred_namespaces_work_where_1024_descriptors_are_allowed(Durability durability)
    {
        var lines = await RunLimitedAsync(1024, "many-idle", "900", durability.ToString());

        lines.Should().Contain("done");
        lines.Single(line => line.StartsWith("descriptors ", StringComparison.Ordinal)).Should().MatchRegex("^descriptors 1?[0-9]{1,3} ");
    }

    [Theory]
    [InlineData(Durability.Immediate)]
    [InlineData(Durability.Interval)]
    [InlineData(Durability.Buffered)]
    public async Task A_log_at_rest_keeps_no_file_open_and_has_flushed_what_it_wrote(Durability durability)
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, Stores.Small with { Durability = durability });
        disk.OpenWriters.Should().Be(0, "nothing was written yet");
        for (var round = 0; round < 3; round++)
        {
            // So much that it is written at once in the relaxed modes as well, but not flushed.
            await host.PutAsync($"{round}", new string('v', 100_000));
            for (var waited = Stopwatch.StartNew(); waited.Elapsed < TimeSpan.FromSeconds(60) && (await Stores.StateOfAsync(disk)).Count <= round;)
            {
                await Task.Delay(1);
            }

            await RestAsync(disk);
            disk.OpenWriters.Should().Be(0);
        }

        (await Stores.StateOfAsync(disk.Restart(0))).Should().Equal(host.State, "it was flushed by the descriptor that wrote it");
    }

    [Theory]
    [InlineData(Durability.Interval)]
    [InlineData(Durability.Buffered)]
    public async Task Failed_flush_of_a_log_at_rest_is_reported_and_nothing_more_is_written(Durability durability)
    {
        var disk = new SimulatedDisk();
        var host = await Stores.OpenAsync(disk, Stores.Small with { Durability = durability });
        await host.PutAsync("a", new string('a', 100_000));
        disk.BeforeStep = (operation, _) =>
        {
            if (operation == "flush")
            {
                throw new IOException("Input/output error");
            }
        };

        // Until what was gathered is written, there is something to do.
        for (var waited = Stopwatch.StartNew(); host.Persistence.Health.Status != KvPersistenceStatus.Failed && waited.Elapsed < TimeSpan.FromSeconds(60);)
        {
            OpenLogs.Shared.CloseAll();
            await Task.Delay(1);
        }

        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Failed);
        var put = () => host.PutAsync("b", "b");
        await put.Should().ThrowAsync<KvPersistenceException>();
        disk.BeforeStep = null;
        await host.Persistence.ReopenAsync();
        await host.PutAsync("b", "b");
        await host.DisposeAsync();
        (await Stores.StateOfAsync(disk)).Should().Equal(host.State).And.HaveCount(2);
    }

    [RealPartTheory(RealPart.Linux)]
    [InlineData("removed")]
    [InlineData("replaced by a copy")]
    [InlineData("cut off")]
    [InlineData("another log")]
    public async Task A_log_that_is_not_the_same_after_a_rest_is_noticed_before_anything_is_written(string change)
    {
        var host = await DictionaryHost.OpenAsync(new FilePersistence(_directory, Stores.Small));
        for (var i = 0; i < 10; i++)
        {
            await host.PutAsync($"{i}", new string('v', 1000));
        }

        var log = Directory.GetFiles(_directory, "*.log").Max()!;
        for (var waited = Stopwatch.StartNew(); IsOpen(log) && waited.Elapsed < TimeSpan.FromSeconds(60);)
        {
            OpenLogs.Shared.CloseAll();
        }

        IsOpen(log).Should().BeFalse();
        var kept = log + ".kept";
        switch (change)
        {
            case "removed":
                File.Move(log, kept);
                break;
            case "replaced by a copy":
                File.Move(log, kept);
                File.Copy(kept, log);
                break;
            case "cut off":
                File.Copy(log, kept);
                await using (var file = File.OpenWrite(log))
                {
                    file.SetLength(200);
                }

                break;
            default:
                File.Move(log, kept);
                File.Copy(Directory.GetFiles(_directory, "*.log").Min()!, log);
                break;
        }

        var put = () => host.PutAsync("late", "x");
        (await put.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*is not the file any more*");
        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Failed);
        var reopen = () => host.Persistence.ReopenAsync().AsTask();
        await reopen.Should().ThrowAsync<KvPersistenceException>();

        if (change == "cut off")
        {
            // The very file again, with what was in it.
            await using var file = File.OpenWrite(log);
            await file.WriteAsync(await File.ReadAllBytesAsync(kept));
        }
        else
        {
            File.Move(kept, log, overwrite: true);
        }

        await reopen();
        await host.PutAsync("again", "x");
        await host.Persistence.DisposeAsync();
        await using var opened = await DictionaryHost.OpenAsync(new FilePersistence(_directory, Stores.Small));
        opened.State.Should().Equal(host.State).And.HaveCount(11);
    }

    private static bool IsOpen(string path) =>
        Directory.GetFiles("/proc/self/fd").Any(descriptor => new FileInfo(descriptor).LinkTarget == path);

    private static async Task RestAsync(SimulatedDisk disk)
    {
        // What was gathered goes on its way first.
        for (var waited = Stopwatch.StartNew(); disk.OpenWriters > 0 && waited.Elapsed < TimeSpan.FromSeconds(60);)
        {
            OpenLogs.Shared.CloseAll();
            await Task.Delay(1);
        }
    }

    private async Task<string[]> RunLimitedAsync(int limit, params string[] scenario)
    {
        var start = new ProcessStartInfo("/bin/sh") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add(string.Create(CultureInfo.InvariantCulture, $"ulimit -n {limit}; exec \"$0\" \"$@\""));
        start.ArgumentList.Add(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet");
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "KvStore.CrashChild.dll"));
        start.ArgumentList.Add(scenario[0]);
        start.ArgumentList.Add(_directory);
        foreach (var argument in scenario[1..])
        {
            start.ArgumentList.Add(argument);
        }

        using var child = Process.Start(start)!;
        try
        {
            var output = child.StandardOutput.ReadToEndAsync();
            var errors = child.StandardError.ReadToEndAsync();
            await child.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(240));
            if (child.ExitCode == AbortedExitCode && (await errors).StartsWith(EndOfMemory, StringComparison.Ordinal))
            {
                return [EndOfMemory];
            }

            child.ExitCode.Should().Be(0, "{0}{1}", await output, await errors);
            return (await output).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        }
        finally
        {
            if (!child.HasExited)
            {
                child.Kill();
            }
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private async Task<WeakReference> LeaveAsync(Durability durability)
    {
        var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions
        {
            Persistence = new FilePersistence(_directory, new FilePersistenceOptions { Durability = durability, Interval = TimeSpan.FromMilliseconds(50) }),
        });
        await kv.PutAsync("key", "value");
        return new WeakReference(kv);
    }
}
