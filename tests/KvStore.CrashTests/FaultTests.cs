namespace KvStore.CrashTests;

/// <summary>
/// A disk that fails at the first to the n-th call: the put fails, reads go on. After a flush that failed writes are refused
/// until it is opened again; after anything else the next write may succeed.
/// </summary>
public abstract class FaultTests
{
    private const string NoSpace = "No space left on device";
    private const string InputOutputError = "Input/output error";

    private protected abstract Task<IDurableStore> OpenAsync(SimulatedDisk disk, FilePersistenceOptions? options = null);

    public static TheoryData<string, string, bool, Durability> Faults
    {
        get
        {
            var faults = new TheoryData<string, string, bool, Durability>();
            foreach (var durability in Enum.GetValues<Durability>())
            {
                foreach (var isForGood in new[] { false, true })
                {
                    faults.Add("write", NoSpace, isForGood, durability);
                    faults.Add("write", InputOutputError, isForGood, durability);
                    faults.Add("flush", InputOutputError, isForGood, durability);
                    faults.Add("flush directory", InputOutputError, isForGood, durability);
                    faults.Add("create", NoSpace, isForGood, durability);
                    faults.Add("rename", InputOutputError, isForGood, durability);
                    faults.Add("set length", InputOutputError, isForGood, durability);
                }
            }

            return faults;
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_flush_that_failed_says_that_the_outcome_is_unknown_when_the_cut_fails_too(bool isCutRefused)
    {
        var disk = new SimulatedDisk();
        var host = await OpenAsync(disk);
        await host.PutAsync("a", "one");
        disk.BeforeStep = (operation, name) =>
        {
            if (name.Contains(".log", StringComparison.Ordinal) && (operation == "flush" || (isCutRefused && operation is "set length")))
            {
                throw new IOException(InputOutputError);
            }

            // The first flush is the one that counts; cutting off takes another one.
            if (operation == "set length")
            {
                disk.BeforeStep = null;
            }
        };
        var put = () => host.PutAsync("a", "two");

        var failure = (await put.Should().ThrowAsync<KvPersistenceException>()).Which;

        failure.Message.Contains("the outcome of what was being written is unknown", StringComparison.Ordinal).Should().Be(isCutRefused, failure.Message);
        host.State.Should().ContainKey("a").WhoseValue.Should().Be("one");
        disk.BeforeStep = null;
        await host.DisposeAsync();
        if (!isCutRefused)
        {
            (await Stores.StateOfAsync(disk)).Should().ContainKey("a").WhoseValue.Should().Be("one", "it was cut off");
        }
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task A_failure_at_any_call_fails_the_put_and_loses_nothing_that_was_acknowledged(
        string operation, string message, bool isForGood, Durability durability)
    {
        var options = Stores.Small with { Durability = durability };
        var isFatal = operation.StartsWith("flush", StringComparison.Ordinal);
        for (var call = 1; ; call++)
        {
            var disk = new SimulatedDisk();
            var host = await OpenAsync(disk, options);
            var fault = new FaultyDisk(disk, operation, call, message, isForGood);
            var acknowledged = new SortedDictionary<string, string>(host.State);
            var states = new List<string> { Text(acknowledged) };
            Exception? failure = null;
            for (var i = 0; i < 60 && failure is null; i++)
            {
                var key = $"key {i % 5}";
                var value = $"{i} {new string('v', i * 31 % 600)}{(i % 10 == 6 ? new string('L', 2000) : "")}";
                try
                {
                    await (i % 10 == 6 ? host.PutLargeAsync(key, value) : host.PutAsync(key, value));
                    acknowledged[key] = value;
                    states.Add(Text(acknowledged));
                }
                catch (KvPersistenceException e)
                {
                    failure = e;
                }
            }

            failure ??= await RecordAsync(() => host.Persistence.FlushAsync().AsTask());
            if (!fault.HasFailed)
            {
                failure.Should().BeNull();
                disk.BeforeStep = null;
                await host.DisposeAsync();
                break;
            }

            Text(host.State).Should().Be(states[^1], "reads go on, and show nothing that failed");
            if (failure is null)
            {
                // A mark behind what was flushed, which the next write sees to; or, in the relaxed modes, a write for nobody but
                // the background that was made again.
                isFatal.Should().BeFalse();
                host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
            }
            else
            {
                failure.Should().BeOfType<KvPersistenceException>("{0} failed at call {1}", operation, call);
                failure.ToString().Should().Contain(message);
                var health = host.Persistence.Health;
                if (isFatal || isForGood || durability == Durability.Immediate)
                {
                    health.Status.Should().Be(isFatal ? KvPersistenceStatus.Failed : KvPersistenceStatus.Degraded);
                    health.Reason.Should().Contain(message);
                }
                else
                {
                    // The background may have written by now what waited.
                    health.Status.Should().BeOneOf(KvPersistenceStatus.Degraded, KvPersistenceStatus.Healthy);
                }
            }

            disk.BeforeStep = null;
            if (isFatal)
            {
                // Refused from now on, even if the disk would work again.
                (await RecordAsync(() => host.PutAsync("late", "x"))).Should().BeOfType<KvPersistenceException>();
                (await RecordAsync(() => host.PutLargeAsync("late", "x"))).Should().BeOfType<KvPersistenceException>();
                (await RecordAsync(() => host.Persistence.FlushAsync().AsTask())).Should().BeOfType<KvPersistenceException>();
                (await RecordAsync(() => host.Persistence.CompactAsync().AsTask())).Should().BeOfType<KvPersistenceException>();
            }
            else
            {
                // The disk works again, so what is put is kept.
                foreach (var (key, isLarge) in new[] { ("late", false), ("late large", true) })
                {
                    acknowledged[key] = isLarge ? new string('L', 2000) : "x";
                    await (isLarge ? host.PutLargeAsync(key, acknowledged[key]) : host.PutAsync(key, acknowledged[key]));
                    states.Add(Text(acknowledged));
                }

                await host.Persistence.FlushAsync();
                host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy, "{0} failed at call {1}", operation, call);
            }

            // A copy of the disk, as if the process were killed here.
            var killed = SimulatedDisk.With(disk.Files);
            (await RecordAsync(() => host.DisposeAsync().AsTask())).Should().BeNull();

            // Opened again: exactly what was acknowledged, since nothing but this failure happened to the disk.
            foreach (var left in new[] { disk, killed })
            {
                var again = await OpenAsync(left, options);
                var recovered = Text(again.State);
                if (durability == Durability.Immediate || !isFatal)
                {
                    recovered.Should().Be(states[^1], "{0} failed at call {1}", operation, call);
                }
                else
                {
                    states.Should().Contain(recovered, "{0} failed at call {1}", operation, call);
                }

                again.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
                await again.PutAsync("again", "it works");
                await again.DisposeAsync();
                (await Stores.StateOfAsync(left)).Should().ContainKey("again");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task Reopened_after_any_failure_it_has_what_was_acknowledged_and_takes_writes(
        string operation, string message, bool isForGood, Durability durability)
    {
        var options = Stores.Small with { Durability = durability };
        for (var call = 1; ; call++)
        {
            var disk = new SimulatedDisk();
            var host = await OpenAsync(disk, options);
            var fault = new FaultyDisk(disk, operation, call, message, isForGood);
            for (var i = 0; i < 60; i++)
            {
                var value = $"{i} {new string('v', i * 31 % 600)}{(i % 10 == 6 ? new string('L', 2000) : "")}";
                await RecordAsync(() => i % 10 == 6 ? host.PutLargeAsync($"key {i % 5}", value) : host.PutAsync($"key {i % 5}", value));
            }

            await RecordAsync(() => host.Persistence.FlushAsync().AsTask());
            disk.BeforeStep = null;
            if (!fault.HasFailed)
            {
                await host.DisposeAsync();
                break;
            }

            var acknowledged = host.State;
            await host.Persistence.ReopenAsync();

            host.State.Should().Equal(acknowledged);
            await host.PutAsync("again", "it works");
            await host.PutLargeAsync("again large", new string('L', 2000));
            await host.DeleteAsync("key 1");
            await host.Persistence.FlushAsync();
            host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
            acknowledged["again"] = "it works";
            acknowledged["again large"] = new string('L', 2000);
            acknowledged.Remove("key 1");
            var killed = SimulatedDisk.With(disk.Files);
            var cut = disk.Restart(seed: 0);
            foreach (var left in new[] { killed, cut })
            {
                var again = await OpenAsync(left, options);
                Text(again.State).Should().Be(Text(acknowledged), "{0} failed at call {1}", operation, call);
                await again.DisposeAsync();
            }
        }
    }

    [Theory]
    [InlineData("write", NoSpace)]
    [InlineData("flush", InputOutputError)]
    [InlineData("create", NoSpace)]
    public async Task A_compaction_that_fails_loses_nothing_and_writes_go_on(string operation, string message)
    {
        for (var call = 1; ; call++)
        {
            var disk = new SimulatedDisk();
            var host = await OpenAsync(disk);
            for (var i = 0; i < 30; i++)
            {
                await host.PutAsync($"key {i % 5}", $"{i} {new string('v', 200)}");
            }

            var before = host.State;
            var fault = new FaultyDisk(disk, operation, call, message, only: "snapshot");
            var failure = await RecordAsync(() => host.Persistence.CompactAsync().AsTask());
            disk.BeforeStep = null;
            if (!fault.HasFailed)
            {
                call.Should().BeGreaterThan(1);
                failure.Should().BeNull();
                return;
            }

            failure.Should().BeOfType<KvPersistenceException>().Which.Message.Should().Contain(message);
            host.State.Should().Equal(before);
            disk.Files.Keys.Should().NotContain(name => name.Contains("snapshot"));
            await host.PutAsync("after", "the failure");
            before["after"] = "the failure";
            await host.Persistence.CompactAsync();

            await host.DisposeAsync();
            (await Stores.StateOfAsync(disk)).Should().Equal(before);
        }
    }

    [Fact]
    public async Task A_compaction_in_the_background_that_fails_shows_in_the_health_and_is_tried_again()
    {
        var disk = new SimulatedDisk();
        var host = await OpenAsync(disk, Stores.Small with { CompactionBytesMin = 16 * 1024 });
        var isFailing = true;
        disk.BeforeStep = (operation, name) =>
        {
            if (Volatile.Read(ref isFailing) && name.Contains("snapshot", StringComparison.Ordinal))
            {
                throw new IOException(NoSpace);
            }
        };

        var puts = 0;
        while (host.Persistence.Health.Status != KvPersistenceStatus.Degraded)
        {
            await host.PutAsync($"key {puts++ % 5}", new string('v', 500));
        }

        host.Persistence.Health.Reason.Should().Contain(NoSpace);
        Volatile.Write(ref isFailing, false);
        while (host.Persistence.Health.Status != KvPersistenceStatus.Healthy)
        {
            await host.PutAsync($"key {puts++ % 5}", new string('v', 500));
        }

        disk.Files.Keys.Should().Contain(name => name.EndsWith(".snapshot", StringComparison.Ordinal));
        var before = host.State;
        await host.DisposeAsync();
        (await Stores.StateOfAsync(disk)).Should().Equal(before);
    }

    [Fact]
    public async Task All_that_wait_for_a_failed_flush_fail_and_none_of_them_is_recovered()
    {
        var disk = new SimulatedDisk();
        var host = await OpenAsync(disk);
        await host.PutAsync("before", "x");
        using var atFlush = new ManualResetEventSlim();
        using var proceed = new ManualResetEventSlim();
        disk.BeforeStep = (operation, _) =>
        {
            if (operation == "flush")
            {
                atFlush.Set();
                proceed.Wait();
                throw new IOException(InputOutputError);
            }
        };

        var first = host.PutAsync("first", "x");
        atFlush.Wait();
        var others = Enumerable.Range(0, 20).Select(i => host.PutAsync($"other {i}", "x")).ToArray();
        proceed.Set();

        foreach (var put in others.Prepend(first))
        {
            var failure = await RecordAsync(() => put);
            failure.Should().BeOfType<KvPersistenceException>().Which.InnerException!.Message.Should().Contain(InputOutputError);
        }

        disk.BeforeStep = null;
        host.State.Keys.Should().Equal("before");
        await host.DisposeAsync();
        (await Stores.StateOfAsync(disk)).Keys.Should().Equal("before");
    }

    [Fact]
    public async Task A_failure_on_closing_is_not_swallowed()
    {
        var disk = new SimulatedDisk();
        var host = await OpenAsync(disk, Stores.Small with { Durability = Durability.Buffered });
        await host.PutAsync("a", "one");
        _ = new FaultyDisk(disk, "flush", 1, InputOutputError);

        var failure = await RecordAsync(() => host.DisposeAsync().AsTask());

        failure.Should().BeOfType<KvPersistenceException>().Which.Message.Should().Contain(InputOutputError);
        disk.BeforeStep = null;
        (await OpenAsync(disk)).Persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
    }

    [Theory]
    [InlineData("flush directory")]
    [InlineData("delete")]
    public async Task A_failure_on_closing_what_nothing_was_written_to_is_not_swallowed_either(string operation)
    {
        var disk = new SimulatedDisk();
        var host = await OpenAsync(disk);
        _ = new FaultyDisk(disk, operation, 1, InputOutputError);

        var failure = await RecordAsync(() => host.DisposeAsync().AsTask());

        failure.Should().BeOfType<KvPersistenceException>().Which.Message.Should().Contain(InputOutputError);
        disk.BeforeStep = null;
        (await OpenAsync(disk)).Persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
    }

    [Fact]
    public async Task A_failure_on_opening_is_an_error_and_leaves_the_directory_free()
    {
        for (var call = 1; ; call++)
        {
            var disk = await Stores.CrashedAsync(host => host.PutAsync("a", "one"));
            var fault = new FaultyDisk(disk, "write", call, NoSpace);
            IDurableStore? host = null;
            var failure = await RecordAsync(async () => host = await OpenAsync(disk));
            disk.BeforeStep = null;
            if (!fault.HasFailed)
            {
                failure.Should().BeNull();
                call.Should().BeGreaterThan(2);
                await host!.DisposeAsync();
                return;
            }

            if (host is not null)
            {
                // Without room ahead of the log it can be read all the same.
                host.State.Should().ContainKey("a");
                await host.PutAsync("b", "two");
                await host.DisposeAsync();
                continue;
            }

            failure.Should().BeOfType<KvPersistenceException>().Which.Message.Should().Contain(NoSpace);
            (await OpenAsync(disk)).State.Should().ContainKey("a");
        }
    }

    private static string Text(SortedDictionary<string, string> state) => string.Join('\n', state.Select(pair => $"{pair.Key}={pair.Value}"));

    private static async Task<Exception?> RecordAsync(Func<Task> action)
    {
        try
        {
            await action();
            return null;
        }
        catch (Exception e)
        {
            return e;
        }
    }
}

/// <summary>The disk fails under the file provider by itself.</summary>
public sealed class FaultOfProviderTests : FaultTests
{
    private protected override async Task<IDurableStore> OpenAsync(SimulatedDisk disk, FilePersistenceOptions? options = null) =>
        await Stores.OpenAsync(disk, options);
}

/// <summary>The disk fails under a whole namespace.</summary>
public sealed class FaultOfNamespaceTests : FaultTests
{
    private protected override async Task<IDurableStore> OpenAsync(SimulatedDisk disk, FilePersistenceOptions? options = null) =>
        await NamespaceHost.OpenAsync(Stores.On(disk, options));
}
