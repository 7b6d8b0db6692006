using System.Globalization;
using System.Text;
using KvStore.Tests.Watching;

namespace KvStore.Tests.Engines;

/// <summary>A state that an engine replaces: readers see the old one or the new one.</summary>
public sealed class StateSwapTests
{
    private const int Keys = 700;
    private const int States = 60;

    // In each state a fifth of the keys is missing, another one each time.
    private const int Missing = 5;

    [Fact]
    public async Task Readers_see_the_old_state_or_the_new_one_and_nothing_between()
    {
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        Replace(engine, 0);
        using var ending = new CancellationTokenSource();
        Task[] readers =
        [
            Task.Run(() => GetInALoop(kv, ending.Token)),
            Task.Run(() => GetTextsInALoopAsync(kv, ending.Token)),
            Task.Run(() => GetManyInALoopAsync(kv, ending.Token)),
            Task.Run(() => ListInALoopAsync(kv, ending.Token)),
            Task.Run(() => ScanInALoopAsync(kv, ending.Token)),
        ];
        for (var state = 1; state < States && !readers.Any(static reader => reader.IsCompleted); state++)
        {
            Replace(engine, state);
            await Task.Yield();
        }

        await ending.CancelAsync();
        await Task.WhenAll(readers);
        ShouldBe(await kv.ListAsync(), States - 1);
        kv.Count.Should().Be(KeysOf(States - 1).Count());
    }

    [Fact]
    public async Task Get_shows_nothing_old_after_something_new_in_a_large_state()
    {
        const int Many = 60_000;
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        Swap(0);
        using var ending = new CancellationTokenSource();
        var reader = Task.Run(() =>
        {
            var random = new Random(3);
            var last = 0;
            while (!ending.IsCancellationRequested)
            {
                if (kv.TryGet(NameOf(random.Next(Many)), out var value))
                {
                    Next(ref last, value.GetText()!);
                }
            }
        });
        for (var state = 1; state < 10; state++)
        {
            Swap(state);
        }

        await ending.CancelAsync();
        await reader;

        void Swap(int state)
        {
            using var swap = engine.Host.BeginSwap();
            var text = state.ToString(CultureInfo.InvariantCulture);
            for (var i = 0; i < Many; i++)
            {
                swap.Apply(engine.Put(NameOf(i), text));
            }

            swap.Complete();
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task State_that_is_swapped_in_the_middle_of_a_read_is_read_as_a_whole(bool isList)
    {
        // Entries can expire, so the clock of the test is asked in the middle of the read.
        var time = new CallingTime();
        var (kv, engine) = await TestEngine.OpenAsync(time);
        await using var _ = kv;
        Swap("old");

        // Merges the new keys, so that a list needs no lock.
        await kv.ListAsync();
        for (var calls = 1; calls <= 12; calls++)
        {
            var state = $"new {calls}";
            var isSwapped = false;
            time.CallAt(calls, () =>
            {
                Swap(state);
                isSwapped = true;
            });
            var seen = isList
                ? (await kv.ListAsync()).Keys.Select(key => key.Metadata!.ToString()).ToList()
                : [.. (await kv.GetManyAsync([.. Enumerable.Range(0, 10).Select(NameOf)])).Values.Select(value => value.GetText()!)];
            time.CallAt(0, static () => { });
            seen.Should().HaveCount(10);
            seen.Distinct().Should().ContainSingle();
            if (isSwapped)
            {
                seen[0].Trim('"').Should().Be(state);
            }

            Swap(state);
            (calls > 8 || isSwapped).Should().BeTrue("the clock is asked for each entry");
        }

        void Swap(string state)
        {
            using var swap = engine.Host.BeginSwap();
            for (var i = 0; i < 10; i++)
            {
                swap.Apply(engine.Put(NameOf(i), state, $"\"{state}\"") with { DeadlineSeconds = 2_000_000_000 });
            }

            swap.Complete();
        }
    }

    [Fact]
    public async Task Writes_of_this_process_are_read_at_once_during_swaps()
    {
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        using var ending = new CancellationTokenSource();
        var writing = Task.Run(async () =>
        {
            for (var i = 0; !ending.IsCancellationRequested; i++)
            {
                var text = i.ToString(CultureInfo.InvariantCulture);
                await kv.PutAsync(NameOf(i % Keys) + "/own", text);
                (await kv.GetTextAsync(NameOf(i % Keys) + "/own")).Should().Be(text);
                if (i % 3 == 0)
                {
                    await kv.DeleteAsync(NameOf(i % Keys) + "/own");
                    (await kv.GetTextAsync(NameOf(i % Keys) + "/own")).Should().BeNull();
                }
            }
        });
        for (var state = 0; state < States && !writing.IsCompleted; state++)
        {
            Replace(engine, state);
            await Task.Yield();
        }

        await ending.CancelAsync();
        await writing;
    }

    [Fact]
    public async Task Watchers_are_shown_the_differences()
    {
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        engine.Host.Apply(engine.Put("changed", "1"));
        engine.Host.Apply(engine.Put("deleted", "1"));
        engine.Host.Apply(engine.Put("gone", "1"));
        engine.Host.Apply(engine.Put("kept", "1"));
        engine.Host.Publish();
        await using var watch = Watch.Begin(kv);
        watch.ShouldWait();
        using (var swap = engine.Host.BeginSwap())
        {
            swap.Apply(engine.Put("changed", "2"));
            swap.Apply(engine.Put("new", "1"));
            swap.Apply(engine.Delete("deleted"));
            swap.Remove("gone"u8, engine.Host.RevisionOf("gone"u8));
            watch.ShouldWait();
            swap.Complete();
        }

        var changes = new List<string>();
        for (var i = 0; i < 4; i++)
        {
            var change = await watch.NextAsync();
            changes.Add($"{change.Kind} {change.Key} {change.Value.GetText()}");
        }

        changes.Should().BeEquivalentTo(["Put changed 2", "Put new 1", "Delete deleted ", "Delete gone "]);
        watch.ShouldWait();
    }

    [Fact]
    public async Task State_that_is_newer_than_the_swap_stays()
    {
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        var older = engine.Put("k", "older");
        var deleted = engine.Put("deleted", "older");
        using var swap = engine.Host.BeginSwap();
        swap.Apply(older);
        swap.Apply(deleted);
        swap.Apply(engine.Put("same", "1") with { Revision = older.Revision });
        swap.Remove("written"u8, engine.Next());
        await kv.PutAsync("k", "newer");
        await kv.PutAsync("deleted", "v");
        await kv.DeleteAsync("deleted");
        await kv.PutAsync("written", "newer");
        engine.Host.Apply(engine.Put("same", "1") with { Revision = older.Revision });
        engine.Host.Publish();

        swap.Complete();

        (await kv.GetTextAsync("k")).Should().Be("newer");
        (await kv.GetTextAsync("deleted")).Should().BeNull();
        (await kv.GetTextAsync("written")).Should().Be("newer");
        (await kv.GetTextAsync("same")).Should().Be("1");
        (await kv.ListAsync()).Keys.Select(key => key.Name).Should().Equal("k", "same", "written");
        kv.Count.Should().Be(3);
    }

    [Fact]
    public async Task Swap_that_is_not_completed_changes_nothing()
    {
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        Replace(engine, 0);
        using (var swap = engine.Host.BeginSwap())
        {
            Fill(swap, engine, 1);
        }

        ShouldBe(await kv.ListAsync(), 0);
        Replace(engine, 2);
        ShouldBe(await kv.ListAsync(), 2);
    }

    [Fact]
    public async Task Entry_that_has_expired_by_the_time_of_the_swap_is_not_shown()
    {
        var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(1_800_000_000));
        var (kv, engine) = await TestEngine.OpenAsync(time);
        await using var _ = kv;
        engine.Host.Apply(engine.Put("k", "1"));
        engine.Host.Publish();
        using var swap = engine.Host.BeginSwap();
        swap.Apply(engine.Put("k", "2") with { DeadlineSeconds = 1_800_000_060 });
        swap.Apply(engine.Put("over", "2") with { DeadlineSeconds = 1_700_000_000 });
        time.Advance(TimeSpan.FromSeconds(61));

        swap.Complete();

        (await kv.GetTextAsync("k")).Should().BeNull();
        (await kv.GetTextAsync("over")).Should().BeNull();
        (await kv.ListAsync()).Keys.Should().BeEmpty();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Swaps_and_single_mutations_in_any_order_leave_what_a_dictionary_has(int seed)
    {
        var random = new Random(seed);
        var (kv, engine) = await TestEngine.OpenAsync();
        await using var _ = kv;
        var model = new SortedDictionary<string, (long Revision, string? Value)>(StringComparer.Ordinal);
        for (var step = 0; step < 60; step++)
        {
            using var swap = engine.Host.BeginSwap();
            var held = new List<KvMutation>();
            for (var i = random.Next(200); i > 0; i--)
            {
                var key = NameOf(random.Next(150));
                var mutation = random.Next(3) == 0 ? engine.Delete(key) : engine.Put(key, $"{step} {i}");
                (random.Next(4) == 0 ? new Action(() => engine.Host.Apply(mutation)) : () => held.Add(mutation))();
                if (!model.TryGetValue(key, out var known) || known.Revision < mutation.Revision)
                {
                    model[key] = (mutation.Revision, mutation.IsDelete ? null : Encoding.UTF8.GetString(mutation.Value.Span));
                }
            }

            foreach (var mutation in held.OrderBy(_ => random.Next()))
            {
                swap.Apply(mutation);
            }

            swap.Complete();
            var expected = model.Where(pair => pair.Value.Value is not null).Select(pair => $"{pair.Key} {pair.Value.Revision} {pair.Value.Value}").ToList();
            var entries = new List<string>();
            await foreach (var entry in kv.ScanAsync())
            {
                entries.Add($"{entry.Key} {entry.Value.Revision} {entry.Value.GetText()}");
            }

            entries.Should().Equal(expected);
            kv.Count.Should().Be(expected.Count);
            foreach (var (key, known) in model)
            {
                (await kv.GetTextAsync(key)).Should().Be(known.Value);
            }
        }
    }

    // Calls a method the given time it is asked.
    private sealed class CallingTime : TimeProvider
    {
        private readonly AsyncLocal<bool> _isReader = new();
        private Action _action = static () => { };
        private int _calls;

        public void CallAt(int call, Action action)
        {
            _isReader.Value = true;
            (_calls, _action) = (call, action);
        }

        public override DateTimeOffset GetUtcNow()
        {
            if (_isReader.Value && --_calls == 0)
            {
                _action();
            }

            return DateTimeOffset.FromUnixTimeSeconds(1_900_000_000);
        }

        // Nothing runs in the background.
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            System.CreateTimer(callback, state, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    private static string NameOf(int number) => number.ToString("D4", CultureInfo.InvariantCulture);

    private static bool IsIn(int key, int state) => (key + state) % Missing != 0;

    private static IEnumerable<int> KeysOf(int state) => Enumerable.Range(0, Keys).Where(key => IsIn(key, state));

    private static void Replace(TestEngine engine, int state)
    {
        using var swap = engine.Host.BeginSwap();
        Fill(swap, engine, state);
        swap.Complete();
    }

    private static void Fill(IKvEngineSwap swap, TestEngine engine, int state)
    {
        var text = state.ToString(CultureInfo.InvariantCulture);
        for (var i = 0; i < Keys; i++)
        {
            var name = NameOf(i);
            if (IsIn(i, state))
            {
                swap.Apply(engine.Put(name, text, text));
            }
            else if (i % 2 == 0)
            {
                swap.Apply(engine.Delete(name));
            }
            else
            {
                var key = Encoding.UTF8.GetBytes(name);
                swap.Remove(key, engine.Host.RevisionOf(key));
            }
        }
    }

    private static void ShouldBe(KvListPage page, int state)
    {
        page.Keys.Select(key => key.Metadata!.ToString()).Distinct().Should().Equal([state.ToString(CultureInfo.InvariantCulture)]);
        page.Keys.Select(key => key.Name).Should().Equal(KeysOf(state).Select(NameOf));
    }

    private static void GetInALoop(KvNamespace kv, CancellationToken ending)
    {
        var random = new Random(1);
        var last = 0;
        while (!ending.IsCancellationRequested)
        {
            var key = random.Next(Keys);
            if (kv.TryGet(NameOf(key), out var value))
            {
                Next(ref last, value.GetText()!);
                IsIn(key, last).Should().BeTrue();
            }
        }
    }

    private static async Task GetTextsInALoopAsync(KvNamespace kv, CancellationToken ending)
    {
        var last = 0;
        for (var key = 0; !ending.IsCancellationRequested; key = (key + 1) % Keys)
        {
            if (await kv.GetTextAsync(NameOf(key), cancellationToken: CancellationToken.None) is { } text)
            {
                Next(ref last, text);
            }
        }
    }

    private static async Task GetManyInALoopAsync(KvNamespace kv, CancellationToken ending)
    {
        var last = 0;
        var random = new Random(2);
        while (!ending.IsCancellationRequested)
        {
            var keys = Enumerable.Range(0, 100).Select(_ => random.Next(Keys)).Distinct().ToArray();
            var values = await kv.GetManyAsync(keys.Select(NameOf).ToArray(), cancellationToken: CancellationToken.None);
            var states = values.Values.Where(value => value.Exists).Select(value => value.GetText()!).Distinct().ToArray();
            states.Should().ContainSingle("all values are of one state");
            Next(ref last, states[0]);
            keys.Where(key => values[NameOf(key)].Exists).Should().Equal(keys.Where(key => IsIn(key, last)));
        }
    }

    private static async Task ListInALoopAsync(KvNamespace kv, CancellationToken ending)
    {
        var last = 0;
        while (!ending.IsCancellationRequested)
        {
            var page = await kv.ListAsync(cancellationToken: CancellationToken.None);
            Next(ref last, page.Keys[0].Metadata!.ToString());
            ShouldBe(page, last);
        }
    }

    private static async Task ScanInALoopAsync(KvNamespace kv, CancellationToken ending)
    {
        var last = 0;
        while (!ending.IsCancellationRequested)
        {
            await foreach (var entry in kv.ScanAsync(cancellationToken: CancellationToken.None))
            {
                Next(ref last, entry.Value.GetText()!);
            }
        }
    }

    private static void Next(ref int last, string state)
    {
        var next = int.Parse(state, CultureInfo.InvariantCulture);
        next.Should().BeGreaterThanOrEqualTo(last, "nothing old is seen after something new");
        last = next;
    }
}
