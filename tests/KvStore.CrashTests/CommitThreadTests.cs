using System.Diagnostics.CodeAnalysis;
using KvStore.Persistence.Log;

namespace KvStore.CrashTests;

/// <summary>Callers that wait for the log always get an answer, whatever threads and disks do.</summary>
public sealed class CommitThreadTests
{
    [Fact]
    [SuppressMessage("Usage", "VSTHRD002", Justification = "Callers that block are what this is about.")]
    public async Task While_every_thread_of_the_pool_is_blocked_puts_complete()
    {
        var disk = new SimulatedDisk();
        await using var host = await Stores.OpenAsync(disk);
        ThreadPool.GetMinThreads(out var minThreads, out var minPorts);
        ThreadPool.GetMaxThreads(out var maxThreads, out var maxPorts);
        var blocking = Math.Max(minThreads, 8);

        // Not disposed: the threads may still be on their way out of them when the test ends.
        var release = new ManualResetEventSlim();
        var blocked = new CountdownEvent(blocking);
        ThreadPool.SetMinThreads(blocking, minPorts).Should().BeTrue();
        ThreadPool.SetMaxThreads(blocking, maxPorts).Should().BeTrue();
        try
        {
            var isFree = false;
            for (var i = 0; i < blocking; i++)
            {
                ThreadPool.UnsafeQueueUserWorkItem(
                    _ =>
                    {
                        blocked.Signal();
                        release.Wait();
                    },
                    null);
            }

            var done = new ManualResetEventSlim();
            var caller = new Thread(() =>
            {
                blocked.Wait();
                ThreadPool.UnsafeQueueUserWorkItem(_ => isFree = true, null);
                for (var i = 0; i < 20; i++)
                {
                    host.Persistence.AppendAsync(new KvMutation { Key = "k"u8.ToArray(), Value = "v"u8.ToArray(), Revision = i + 1 })
                        .AsTask().GetAwaiter().GetResult();
                }

                isFree.Should().BeFalse("the pool has no thread free");
                done.Set();
            });
            caller.Start();
            done.Wait(TimeSpan.FromSeconds(60)).Should().BeTrue("a flush does not wait for the pool");
        }
        finally
        {
            release.Set();
            ThreadPool.SetMaxThreads(maxThreads, maxPorts);
            ThreadPool.SetMinThreads(minThreads, minPorts);
        }
    }

    [Fact]
    public async Task Small_puts_beside_a_large_value_that_fails_all_complete_and_closing_ends()
    {
        for (var round = 0; round < 5; round++)
        {
            var disk = new SimulatedDisk();
            var host = await Stores.OpenAsync(disk, Stores.Small with { LogFileBytes = 1 << 20 });
            disk.BeforeStep = (operation, name) =>
            {
                if (operation == "flush" && name.EndsWith(".value", StringComparison.Ordinal))
                {
                    throw new IOException("No space left on device");
                }
            };
            var puts = Enumerable.Range(0, 32).Select(caller => Task.Run(async () =>
            {
                var acknowledged = 0;
                try
                {
                    for (var i = 0; i < 100; i++)
                    {
                        await host.PutAsync($"{caller}", $"{i}");
                        acknowledged = i + 1;
                    }
                }
                catch (KvPersistenceException)
                {
                    // From the moment of the failure on.
                }

                return acknowledged;
            })).ToArray();
            var large = async () => await host.PutLargeAsync("large", new string('L', 300_000));
            await large.Should().ThrowAsync<KvPersistenceException>();

            var counts = await Task.WhenAll(puts).WaitAsync(TimeSpan.FromSeconds(60));
            await host.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(60));

            disk.BeforeStep = null;
            var state = await Stores.StateOfAsync(disk);
            for (var caller = 0; caller < counts.Length; caller++)
            {
                state.GetValueOrDefault($"{caller}").Should().Be(counts[caller] == 0 ? null : $"{counts[caller] - 1}");
            }
        }
    }

    [Fact]
    public async Task Many_namespaces_that_nobody_writes_to_have_no_threads()
    {
        var hosts = new List<DictionaryHost>();
        for (var i = 0; i < 200; i++)
        {
            var host = await Stores.OpenAsync(new SimulatedDisk());
            await host.PutAsync("k", "v");
            hosts.Add(host);
        }

        FlushThreads.Shared.Count.Should().BeLessThan(100, "threads belong to the process and not to a namespace");
        foreach (var host in hosts)
        {
            await host.DisposeAsync();
        }
    }

    [Fact]
    public void Work_is_begun_although_all_threads_are_blocked()
    {
        var threads = new FlushThreads();

        // Not disposed: the threads may still be on their way out of them when the test ends.
        var release = new ManualResetEventSlim();
        var begun = new CountdownEvent(40);
        for (var i = 0; i < 40; i++)
        {
            threads.Queue(new Blocking(begun, release), isParallel: false);
        }

        begun.Wait(TimeSpan.FromSeconds(60)).Should().BeTrue();
        release.Set();
    }

    private sealed class Blocking(CountdownEvent begun, ManualResetEventSlim release) : FlushWork
    {
        public override void Run(FlushThread thread)
        {
            begun.Signal();
            release.Wait();
        }
    }
}
