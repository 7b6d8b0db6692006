namespace KvStore.CrashTests;

/// <summary>
/// The story: one caller puts and deletes, compacts and reopens, with logs of a few records. The power is cut at every step
/// that the disk ever does, what was not flushed is dropped, kept or torn, and the directory is opened again. Once for the
/// provider behind the simplest state there is, and once for a whole namespace.
/// </summary>
public abstract class PowerCutTests
{
    private const int Keys = 7;

    private static readonly int[] s_seeds = [0, 1, 2, 3];

    private protected abstract Task<IDurableStore> OpenAsync(SimulatedDisk disk, FilePersistenceOptions? options = null);

    [Fact]
    public async Task After_a_power_cut_at_any_step_the_state_is_the_acknowledged_one() =>
        await CutEverywhereAsync(Stores.Small, (run, state) =>
            state.Should().BeOneOf(run.InFlight is null ? [run.States[^1]] : [run.States[^1], run.InFlight]));

    [Theory]
    [InlineData(Durability.Interval)]
    [InlineData(Durability.Buffered)]
    public async Task In_the_relaxed_modes_the_state_after_a_power_cut_is_one_that_there_was(Durability durability) =>
        await CutEverywhereAsync(Stores.Small with { Durability = durability }, (run, state) =>
            run.States.Skip(run.Flushed).Append(run.InFlight ?? run.States[^1]).Should().Contain(state));

    [Fact]
    public async Task A_second_power_cut_during_recovery_loses_nothing_either()
    {
        var steps = await CountStepsAsync(Stores.Small);
        for (var step = 3; step <= steps; step += 11)
        {
            var disk = new SimulatedDisk();
            disk.CutAt(step);
            var run = await RunAsync(disk, Stores.Small);
            var crashed = disk.Restart(seed: step);
            var expected = await StateAsync(crashed.Files, $"step {step}");
            for (var second = 1; ; second++)
            {
                var recovering = SimulatedDisk.With(crashed.Files);
                recovering.CutAt(second);
                try
                {
                    var host = await OpenAsync(recovering);
                    await host.DisposeAsync();
                    break;
                }
                catch (Exception e) when (recovering.IsOff)
                {
                    _ = e;
                }

                for (var seed = 0; seed < 3; seed++)
                {
                    var state = await StateAsync(recovering.Restart(seed).Files, $"steps {step} and {second}, seed {seed}");
                    state.Should().Be(expected, "the power was cut at steps {0} and {1}, seed {2}", step, second, seed);
                }
            }
        }
    }

    [Fact]
    public async Task Concurrent_callers_keep_every_acknowledged_write()
    {
        for (var step = 5; step < 400; step += 7)
        {
            var disk = new SimulatedDisk();
            disk.CutAt(step);
            var acknowledged = new int[8];
            var attempted = new int[8];
            IDurableStore? host = null;
            try
            {
                host = await OpenAsync(disk);
                await Task.WhenAll(Enumerable.Range(0, 8).Select(caller => Task.Run(async () =>
                {
                    for (var i = 1; i <= 200; i++)
                    {
                        attempted[caller] = i;
                        await host.PutAsync($"caller {caller}", $"{i} {new string('v', i % 90)}");
                        acknowledged[caller] = i;
                    }
                })));
            }
            catch (Exception) when (disk.IsOff)
            {
                // That is what it is about.
                await AbandonAsync(host);
            }

            await using var after = await OpenAsync(disk.Restart(step));
            for (var caller = 0; caller < 8; caller++)
            {
                var value = after.State.GetValueOrDefault($"caller {caller}");
                var recovered = value is null ? 0 : int.Parse(value.Split(' ')[0]);
                recovered.Should().BeInRange(acknowledged[caller], attempted[caller], "the power was cut at step {0}", step);
                (value ?? "0 ").Should().Be($"{recovered} {new string('v', recovered % 90)}");
            }
        }
    }

    private async Task CutEverywhereAsync(FilePersistenceOptions options, Action<Run, string> check)
    {
        var steps = await CountStepsAsync(options);
        steps.Should().BeGreaterThan(100);
        for (var step = 1; step <= steps; step++)
        {
            foreach (var seed in s_seeds)
            {
                var disk = new SimulatedDisk();
                disk.CutAt(step);
                var run = await RunAsync(disk, options);
                var restarted = disk.Restart(seed < 2 ? seed : (step * 31) + seed);
                var state = await StateAsync(restarted.Files, $"step {step}, seed {seed}");
                try
                {
                    check(run, state);
                }
                catch (Exception e)
                {
                    throw new InvalidOperationException($"The power was cut at step {step}, seed {seed}.", e);
                }
            }
        }
    }

    private async Task<int> CountStepsAsync(FilePersistenceOptions options)
    {
        var disk = new SimulatedDisk();
        var run = await RunAsync(disk, options);
        run.IsComplete.Should().BeTrue();
        return disk.Steps;
    }

    private async Task<string> StateAsync(IReadOnlyDictionary<string, byte[]> files, string when)
    {
        try
        {
            var host = await OpenAsync(SimulatedDisk.With(files));
            await using (host)
            {
                return Text(host.State, host.Deadlines);
            }
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"Cannot be opened after a power cut at {when}.", e);
        }
    }

    private static string Text(SortedDictionary<string, string> state, SortedDictionary<string, uint> deadlines) => string.Join(
        '\n',
        state.Select(pair => $"{pair.Key}={pair.Value[..Math.Min(20, pair.Value.Length)]}#{pair.Value.Length} until {deadlines.GetValueOrDefault(pair.Key)}"));

    /// <summary>The script. Every state that was acknowledged is noted, and the one that was on its way when the power went.</summary>
    private async Task<Run> RunAsync(SimulatedDisk disk, FilePersistenceOptions options)
    {
        var run = new Run();
        var model = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var deadlines = new SortedDictionary<string, uint>(StringComparer.Ordinal);
        run.States.Add(Text(model, deadlines));
        IDurableStore? host = null;
        try
        {
            for (var session = 0; session < 2; session++)
            {
                host = await OpenAsync(disk, options);
                for (var i = 0; i < 45; i++)
                {
                    var key = $"key {i % Keys}";
                    var value = $"session {session} put {i} {new string((char)('a' + (i % 26)), i * 37 % 800)}";
                    switch (i % 9)
                    {
                        case 3:
                            await StepAsync(() => host.DeleteAsync(key), () => deadlines.Remove(model.Remove(key) ? key : ""));
                            break;
                        case 5:
                            var large = value + new string('L', 3000);
                            await StepAsync(() => host.PutLargeAsync(key, large), () => Put(key, large));
                            break;
                        default:
                            await StepAsync(() => host.PutAsync(key, value), () => Put(key, value));
                            break;
                    }

                    if (i % 5 == 4 && model.Count > 0)
                    {
                        // Of a small value or a large one, and some twice in a row.
                        var touched = model.Keys.ElementAt(i % 3 % model.Count);
                        var deadline = i % 2 == 0 ? 0 : 1_800_000_000 + (uint)i;
                        await StepAsync(() => host.TouchAsync(touched, deadline), () => SetDeadline(touched, deadline));
                    }

                    if (i is 14 or 30)
                    {
                        await host.Persistence.CompactAsync();
                        run.Flushed = run.States.Count - 1;
                    }
                }

                await host.Persistence.FlushAsync();
                run.Flushed = run.States.Count - 1;
                await host.DisposeAsync();
            }

            run.IsComplete = true;
        }
        catch (Exception) when (disk.IsOff)
        {
            // That is what it is about.
            await AbandonAsync(host);
        }

        return run;

        async Task StepAsync(Func<Task> action, Action change)
        {
            change();
            run.InFlight = Text(model, deadlines);
            await action();
            run.States.Add(run.InFlight);
            run.InFlight = null;
        }

        void Put(string key, string value)
        {
            model[key] = value;
            deadlines.Remove(key);
        }

        void SetDeadline(string key, uint deadline)
        {
            deadlines.Remove(key);
            if (deadline != 0)
            {
                deadlines[key] = deadline;
            }
        }
    }

    // Frees the memory of the store. The disk is off, so nothing is written.
    private static async Task AbandonAsync(IDurableStore? host)
    {
        try
        {
            await (host?.DisposeAsync() ?? default);
        }
        catch (KvPersistenceException)
        {
            // Closing a disk that is off fails.
        }
    }

    private sealed class Run
    {
        public List<string> States { get; } = [];

        public string? InFlight { get; set; }

        public int Flushed { get; set; }

        public bool IsComplete { get; set; }
    }
}

/// <summary>The power is cut under the file provider by itself.</summary>
public sealed class PowerCutOfProviderTests : PowerCutTests
{
    private protected override async Task<IDurableStore> OpenAsync(SimulatedDisk disk, FilePersistenceOptions? options = null) =>
        await Stores.OpenAsync(disk, options);
}

/// <summary>The power is cut under a whole namespace.</summary>
public sealed class PowerCutOfNamespaceTests : PowerCutTests
{
    private protected override async Task<IDurableStore> OpenAsync(SimulatedDisk disk, FilePersistenceOptions? options = null) =>
        await NamespaceHost.OpenAsync(Stores.On(disk, options));
}
