using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;

namespace KvStore.CrashTests;

/// <summary>Many namespaces that nobody writes to: what they cost, and what happens when there are too many.</summary>
public sealed class IdleNamespaceTests : IDisposable
{
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
        var start = new ProcessStartInfo("/bin/sh") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add("ulimit -n 400; exec \"$0\" \"$1\" few-descriptors \"$2\"");
        start.ArgumentList.Add(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet");
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "KvStore.CrashChild.dll"));
        start.ArgumentList.Add(_directory);
        using var child = Process.Start(start)!;
        try
        {
            var output = child.StandardOutput.ReadToEndAsync();
            var errors = child.StandardError.ReadToEndAsync();
            await child.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(120));

            child.ExitCode.Should().Be(0, "{0}{1}", await output, await errors);
            var lines = (await output).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            lines[1].Should().Contain("ulimit -n").And.Contain(Limit.ToString(CultureInfo.InvariantCulture)).And.Contain(_directory);
            var opened = int.Parse(lines[^1]["opened ".Length..], CultureInfo.InvariantCulture);
            opened.Should().BeGreaterThan((Limit - 100) / 2, "each takes two descriptors: the directory and the log");
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
