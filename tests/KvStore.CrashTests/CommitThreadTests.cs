using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Text;
using System.Threading.Tasks.Sources;
using KvStore.Persistence.Log;

namespace KvStore.CrashTests;

/// <summary>Callers that wait for the log always get an answer, whatever threads and disks do.</summary>
public sealed class CommitThreadTests
{
    [Fact]
    [SuppressMessage("Reliability", "CA2012", Justification = "Where it continues is what is asked.")]
    public async Task A_flush_and_those_it_completes_need_no_thread_of_the_pool()
    {
        // All threads of the pool may be blocked by callers that wait for this flush.
        var disk = new SimulatedDisk();
        await using var host = await Stores.OpenAsync(disk);
        var stepsOnPool = 0;
        var completionsOnPool = 0;
        disk.BeforeStep = (_, _) => stepsOnPool += Thread.CurrentThread.IsThreadPoolThread ? 1 : 0;
        var puts = 0;
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Put()
        {
            var mutation = new KvMutation { Key = "k"u8.ToArray(), Value = new byte[300], Revision = ++puts };
            var append = host.Persistence.AppendAsync(mutation).ConfigureAwait(false).GetAwaiter();
            append.UnsafeOnCompleted(() =>
            {
                completionsOnPool += Thread.CurrentThread.IsThreadPoolThread ? 1 : 0;
                append.GetResult();
                if (puts == 100)
                {
                    done.SetResult();
                }
                else
                {
                    Put();
                }
            });
        }

        Put();
        await done.Task.WaitAsync(TimeSpan.FromSeconds(60));

        stepsOnPool.Should().Be(0);

        // One whose flush was faster than the caller that began to wait for it goes to the pool.
        completionsOnPool.Should().BeLessThan(50);
        disk.BeforeStep = null;
    }

    [Fact]
    public async Task Large_value_is_flushed_on_no_thread_of_the_pool()
    {
        // As above: callers that block may hold every thread of the pool.
        var disk = new SimulatedDisk();
        await using var host = await Stores.OpenAsync(disk);
        var flushes = 0;
        var flushesOnPool = 0;
        disk.BeforeStep = (operation, name) =>
        {
            if (operation == "flush" && name.EndsWith(".value", StringComparison.Ordinal))
            {
                Interlocked.Increment(ref flushes);
                Interlocked.Add(ref flushesOnPool, Thread.CurrentThread.IsThreadPoolThread ? 1 : 0);
            }
        };

        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => host.PutLargeAsync($"{i}", new string('L', 10_000)))).WaitAsync(TimeSpan.FromSeconds(60));

        flushes.Should().Be(20);
        flushesOnPool.Should().Be(0);
        disk.BeforeStep = null;
    }

    [Fact]
    public async Task Writes_of_one_key_that_wait_for_each_other_need_no_thread_of_the_pool()
    {
        // 100 threads of the pool that touch one key, and block, would wait for threads that the pool adds one by one.
        using var disk = new SimulatedDisk();

        // Not disposed: the disk waits for it until the namespace is closed, also when the test fails.
        var called = new ManualResetEventSlim();
        var persistence = new ObservedPersistence(Stores.On(disk), called);
        await using var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions { Persistence = persistence });
        await kv.PutAsync("k", "v");

        // Otherwise the test may go on in the flush thread that has completed the put.
        await Task.Yield();
        disk.BeforeStep = (_, _) => called.Wait();
        var before = kv.PutAsync("k", "before").AsTask();
        var touch = kv.TouchAsync("k", TimeSpan.FromHours(1)).AsTask();
        var behind = kv.PutAsync("k", "behind").AsTask();
        var last = kv.TryPutAsync("k", "last", KvCondition.Present).AsTask();
        called.Set();
        await Task.WhenAll(before, touch, behind, last).WaitAsync(TimeSpan.FromSeconds(60));

        (await kv.GetTextAsync("k")).Should().Be("last");
        persistence.AppendsByOthers.Should().Equal(["v", "before"], "the others waited for the put before them");
        disk.BeforeStep = null;
    }

    [Fact]
    public async Task Updates_of_one_key_that_take_turns_need_no_thread_of_the_pool()
    {
        using var disk = new SimulatedDisk();
        await using var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions { Persistence = Stores.On(disk) });
        var calls = 0;
        var callsOnPool = 0;
        string Next(string? value)
        {
            Interlocked.Increment(ref calls);
            Interlocked.Add(ref callsOnPool, Thread.CurrentThread.IsThreadPoolThread ? 1 : 0);
            return value + "+";
        }

        async Task CallAsync()
        {
            for (var i = 0; i < 10; i++)
            {
                await kv.UpdateAsync("k", Next).ConfigureAwait(false);
            }
        }

        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => CallAsync())).WaitAsync(TimeSpan.FromSeconds(60));

        (await kv.GetTextAsync("k")).Should().HaveLength(200);
        callsOnPool.Should().BeLessThan(calls / 2);
    }

    [Fact]
    public async Task Opening_and_compacting_begin_on_no_thread_of_the_pool()
    {
        // As above. 100 threads of the pool that open a namespace each, and block, would wait for threads that the pool adds one by one.
        var disk = new SimulatedDisk();
        await using (var first = await Stores.OpenAsync(disk))
        {
            await first.PutAsync("k", "v");
        }

        var stepsOnPool = 0;
        var firstStepIsOnPool = default(bool?);
        disk.BeforeStep = (_, _) => stepsOnPool += Thread.CurrentThread.IsThreadPoolThread ? 1 : 0;
        await using var host = await Stores.OpenAsync(disk);
        stepsOnPool.Should().Be(0);

        disk.BeforeStep = (_, _) => firstStepIsOnPool ??= Thread.CurrentThread.IsThreadPoolThread;
        await host.Persistence.CompactAsync();
        firstStepIsOnPool.Should().BeFalse();
        disk.BeforeStep = null;
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
        threads.Ensure();

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

    [Fact]
    public void Where_no_first_thread_can_be_started_nothing_is_taken()
    {
        var threads = new FlushThreads(static (_, _) => throw new InsufficientMemoryException());
        var ensure = threads.Ensure;

        ensure.Should().Throw<KvPersistenceException>().WithMessage("*ulimit -u*");
        ensure.Should().Throw<KvPersistenceException>("it is tried again");
        threads.Count.Should().Be(0);
    }

    [Theory]
    [InlineData("out of memory")]
    [InlineData("no start")]
    [InlineData("false")]
    public void Work_is_begun_although_no_more_threads_can_be_started(string failure)
    {
        var started = 0;
        var threads = new FlushThreads((run, name) =>
        {
            // The watchdog and one thread.
            if (Interlocked.Increment(ref started) <= 2)
            {
                new Thread(() => run()) { IsBackground = true, Name = name }.Start();
                return true;
            }

            return failure switch
            {
                "out of memory" => throw new InsufficientMemoryException(),
                "no start" => throw Activator.CreateInstance(typeof(ThreadStartException), nonPublic: true) as Exception ?? new InvalidOperationException(),
                _ => false,
            };
        });
        threads.Ensure();
        threads.Ensure();
        var free = new CountdownEvent(40);
        var neverBlocks = new ManualResetEventSlim(initialState: true);
        for (var i = 0; i < 40; i++)
        {
            threads.Queue(new Blocking(free, neverBlocks), isParallel: i % 2 == 0);
        }

        free.Wait(TimeSpan.FromSeconds(60)).Should().BeTrue("the one thread takes one after the other");
        var release = new ManualResetEventSlim();
        var begun = new CountdownEvent(4);
        for (var i = 0; i < 4; i++)
        {
            threads.Queue(new Blocking(begun, release), isParallel: false);
        }

        begun.Wait(TimeSpan.FromSeconds(60)).Should().BeTrue("the thread is blocked, and the thread pool helps");
        release.Set();
        threads.Count.Should().Be(1);
        started.Should().BeGreaterThan(2);
    }

    private sealed class Blocking(CountdownEvent begun, ManualResetEventSlim release) : FlushWork
    {
        public override void Run(FlushThread thread)
        {
            begun.Signal();
            release.Wait();
        }
    }

    /// <summary>
    /// Sees on which threads a namespace appends. The disk does not flush what a flush thread has appended before that thread waits for it:
    /// a wait that begins too late ends on the thread pool.
    /// </summary>
    private sealed class ObservedPersistence(IKvPersistence inner, ManualResetEventSlim flushes) : IKvPersistence
    {
        /// <summary>The values that no flush thread has appended, and whether they expire.</summary>
        public ConcurrentQueue<string> AppendsByOthers { get; } = new();

        public KvPersistenceHealth Health => inner.Health;

        public IKvLargeValues? LargeValues => inner.LargeValues;

        public ValueTask<KvRecovery> OpenAsync(IKvPersistenceHost host, CancellationToken cancellationToken) => inner.OpenAsync(host, cancellationToken);

        public ValueTask AppendAsync(in KvMutation mutation, CancellationToken cancellationToken)
        {
            if (FlushThread.Current is null)
            {
                AppendsByOthers.Enqueue(Encoding.UTF8.GetString(mutation.Value.Span) + (mutation.DeadlineSeconds == 0 ? "" : " for some time"));
                return inner.AppendAsync(mutation, cancellationToken);
            }

            flushes.Reset();
            return new ValueTask(new Append(inner.AppendAsync(mutation, cancellationToken), flushes), 0);
        }

        public ValueTask FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

        public ValueTask CompactAsync(CancellationToken cancellationToken) => inner.CompactAsync(cancellationToken);

        public ValueTask SnapshotAsync(string directory, CancellationToken cancellationToken) => inner.SnapshotAsync(directory, cancellationToken);

        public ValueTask DisposeAsync() => inner.DisposeAsync();

        private sealed class Append(ValueTask appended, ManualResetEventSlim flushes) : IValueTaskSource
        {
            private readonly ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _awaiter = appended.ConfigureAwait(false).GetAwaiter();

            public ValueTaskSourceStatus GetStatus(short token) => _awaiter.IsCompleted ? ValueTaskSourceStatus.Succeeded : ValueTaskSourceStatus.Pending;

            public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
            {
                _awaiter.UnsafeOnCompleted(() => continuation(state));
                flushes.Set();
            }

            public void GetResult(short token) => _awaiter.GetResult();
        }
    }
}
