using System.Text;

namespace KvStore.CrashTests.Contract;

/// <summary>What every persistence provider must do. A subclass says which one.</summary>
public abstract class PersistenceContract : IAsyncLifetime
{
    private readonly List<IKvPersistence> _opened = [];

    private protected FakeTimeProvider Time { get; } = new();

    /// <summary>The provider; always the same place.</summary>
    protected abstract IKvPersistence Create();

    /// <summary>A provider on what a snapshot wrote.</summary>
    protected abstract IKvPersistence CreateOnSnapshot(string name);

    /// <summary>The directory to name in a call of a snapshot.</summary>
    protected virtual string SnapshotDirectory(string name) => name;

    public virtual Task InitializeAsync() => Task.CompletedTask;

    public virtual async Task DisposeAsync()
    {
        foreach (var persistence in _opened)
        {
            await persistence.DisposeAsync();
        }
    }

    private static uint SecondsFromNow(TimeProvider time, int seconds) => (uint)(time.GetUtcNow().ToUnixTimeSeconds() + seconds);

    private async Task<DictionaryHost> OpenAsync(IKvPersistence? persistence = null)
    {
        persistence ??= Create();
        _opened.Add(persistence);
        return await DictionaryHost.OpenAsync(persistence, Time);
    }

    private async Task<DictionaryHost> ReopenAsync(DictionaryHost host)
    {
        await host.Persistence.DisposeAsync();
        return await OpenAsync();
    }

    [Fact]
    public async Task New_persistence_has_no_entries()
    {
        var host = await OpenAsync();

        host.State.Should().BeEmpty();
        host.Recovery.HighestRevision.Should().Be(0);
        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
    }

    [Fact]
    public async Task Put_entry_is_there_after_reopening_with_metadata_and_deadline()
    {
        var host = await OpenAsync();
        var deadline = SecondsFromNow(Time, 100);
        await host.PutAsync("a", "one", deadline, "{\"m\":1}");
        await host.PutAsync("b", "");

        host = await ReopenAsync(host);

        host.State.Should().Equal(new Dictionary<string, string> { ["a"] = "one", ["b"] = "" });
        host.MetadataOf("a").Should().Be("{\"m\":1}");
        host.DeadlineOf("a").Should().Be(deadline);
        host.MetadataOf("b").Should().BeEmpty();
        host.DeadlineOf("b").Should().Be(0);
    }

    [Fact]
    public async Task The_last_write_of_a_key_wins_after_reopening()
    {
        var host = await OpenAsync();
        for (var i = 0; i < 300; i++)
        {
            await host.PutAsync($"key {i % 3}", $"value {i}");
        }

        host = await ReopenAsync(host);

        host.State.Should().Equal(new Dictionary<string, string>
        {
            ["key 0"] = "value 297",
            ["key 1"] = "value 298",
            ["key 2"] = "value 299",
        });
    }

    [Fact]
    public async Task Deleted_key_stays_deleted_and_its_revision_is_not_used_again()
    {
        var host = await OpenAsync();
        await host.PutAsync("a", "one");
        await host.DeleteAsync("a");

        host = await ReopenAsync(host);
        host.State.Should().BeEmpty();
        host.Recovery.HighestRevision.Should().Be(2);

        await host.Persistence.CompactAsync();
        host = await ReopenAsync(host);
        host.State.Should().BeEmpty();
        host.Recovery.HighestRevision.Should().Be(2);
    }

    [Fact]
    public async Task Entry_expired_meanwhile_is_not_recovered_nor_is_the_one_it_replaced()
    {
        var host = await OpenAsync();
        await host.PutAsync("a", "older, without a deadline");
        await host.PutAsync("a", "newer", SecondsFromNow(Time, 60));
        await host.PutAsync("b", "later", SecondsFromNow(Time, 61));
        await host.Persistence.DisposeAsync();

        Time.Advance(TimeSpan.FromSeconds(60));
        host = await OpenAsync();

        host.State.Should().Equal(new Dictionary<string, string> { ["b"] = "later" });
    }

    [Fact]
    public async Task Several_sessions_add_up()
    {
        for (var session = 0; session < 5; session++)
        {
            var host = await OpenAsync();
            host.State.Should().HaveCount(session);
            await host.PutAsync($"session {session}", "was here");
            await host.Persistence.DisposeAsync();
        }

        (await OpenAsync()).State.Should().HaveCount(5);
    }

    [Fact]
    public async Task Compaction_changes_nothing_that_can_be_seen()
    {
        var host = await OpenAsync();
        for (var i = 0; i < 200; i++)
        {
            await host.PutAsync($"key {i % 20}", $"value {i}", metadata: i % 2 == 0 ? "true" : "");
            if (i % 7 == 0)
            {
                await host.DeleteAsync($"key {i % 20}");
            }
        }

        var before = host.State;
        await host.Persistence.CompactAsync();
        host.State.Should().Equal(before);

        await host.PutAsync("after", "compaction");
        before["after"] = "compaction";
        host = await ReopenAsync(host);
        host.State.Should().Equal(before);
    }

    [Fact]
    public async Task Compacting_again_and_again_while_writing_loses_nothing()
    {
        var host = await OpenAsync();
        var writers = Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
        {
            for (var i = 0; i < 300; i++)
            {
                await host.PutAsync($"{writer}/{i % 50}", $"{i}");
                if (i % 10 == 3)
                {
                    await host.DeleteAsync($"{writer}/{(i + 25) % 50}");
                }
            }
        })).ToArray();
        var all = Task.WhenAll(writers);
        while (!all.IsCompleted)
        {
            await host.Persistence.CompactAsync();
        }

        await all;
        var before = host.State;

        host = await ReopenAsync(host);

        host.State.Should().Equal(before);
    }

    [Fact]
    public async Task A_snapshot_is_a_state_that_there_was_and_can_be_opened()
    {
        var host = await OpenAsync();
        await host.PutLargeAsync("large", new string('L', 200_000));
        var writing = Task.Run(async () =>
        {
            // In this order, so that a state with a higher number on the left never was.
            for (var i = 1; i <= 500; i++)
            {
                await host.PutAsync("right", $"{i}");
                await host.PutAsync("left", $"{i}");
            }
        });

        for (var i = 0; i < 5; i++)
        {
            await host.Persistence.SnapshotAsync(SnapshotDirectory($"copy {i}"));
        }

        await writing;
        for (var i = 0; i < 5; i++)
        {
            var copy = await OpenAsync(CreateOnSnapshot($"copy {i}"));
            var state = copy.State;
            state["large"].Should().Be(new string('L', 200_000));
            var right = int.Parse(state.GetValueOrDefault("right", "0"));
            var left = int.Parse(state.GetValueOrDefault("left", "0"));
            (right - left).Should().BeInRange(0, 1);
            await copy.PutAsync("the copy", "goes its own way");
        }

        host.State.Should().NotContainKey("the copy");
    }

    [Fact]
    public async Task Touched_entry_keeps_its_value_and_has_its_new_deadline_after_reopening()
    {
        var host = await OpenAsync();
        await host.PutAsync("longer", "one", SecondsFromNow(Time, 100), "{\"m\":1}");
        await host.PutAsync("shorter", "two", SecondsFromNow(Time, 100));
        await host.PutAsync("for good", "three", SecondsFromNow(Time, 100));
        await host.PutAsync("no more for good", "four");
        await host.PutAsync("overwritten", "five", SecondsFromNow(Time, 100));
        await host.PutAsync("deleted", "six", SecondsFromNow(Time, 100));
        await host.PutLargeAsync("large", new string('L', 5000), SecondsFromNow(Time, 100));
        await host.TouchAsync("longer", SecondsFromNow(Time, 1));
        await host.TouchAsync("longer", SecondsFromNow(Time, 200));
        await host.TouchAsync("shorter", SecondsFromNow(Time, 50));
        await host.TouchAsync("for good", 0);
        await host.TouchAsync("no more for good", SecondsFromNow(Time, 300));
        await host.TouchAsync("overwritten", SecondsFromNow(Time, 200));
        await host.PutAsync("overwritten", "anew", SecondsFromNow(Time, 100));
        await host.TouchAsync("deleted", SecondsFromNow(Time, 200));
        await host.DeleteAsync("deleted");
        await host.TouchAsync("large", SecondsFromNow(Time, 200));
        var (longer, highest) = (SecondsFromNow(Time, 200), host.Deadlines);

        host = await ReopenAsync(host);
        host.Deadlines.Should().Equal(highest);
        host.State.Should().NotContainKey("deleted");
        (host.DeadlineOf("longer"), host.MetadataOf("longer")).Should().Be((longer, "{\"m\":1}"));

        Time.Advance(TimeSpan.FromSeconds(60));
        host = await ReopenAsync(host);
        host.State.Keys.Should().Equal("for good", "large", "longer", "no more for good", "overwritten");
        Time.Advance(TimeSpan.FromSeconds(60));
        host = await ReopenAsync(host);
        host.State.Should().Equal(new Dictionary<string, string>
        {
            ["for good"] = "three",
            ["large"] = new string('L', 5000),
            ["longer"] = "one",
            ["no more for good"] = "four",
        });
        await host.Persistence.CompactAsync();
        host = await ReopenAsync(host);
        host.State.Keys.Should().Equal("for good", "large", "longer", "no more for good");
        await host.TouchAsync("longer", 0);
        await host.TouchAsync("large", 0);
        Time.Advance(TimeSpan.FromSeconds(100));
        host = await ReopenAsync(host);
        host.State["large"].Should().Be(new string('L', 5000));
        host.State.Keys.Should().Equal("for good", "large", "longer", "no more for good");
        Time.Advance(TimeSpan.FromSeconds(100));
        host = await ReopenAsync(host);
        host.State.Keys.Should().Equal("for good", "large", "longer");
    }

    [Fact]
    public async Task A_snapshot_of_nothing_opens_as_nothing()
    {
        var host = await OpenAsync();
        await host.Persistence.SnapshotAsync(SnapshotDirectory("empty"));

        (await OpenAsync(CreateOnSnapshot("empty"))).State.Should().BeEmpty();
    }

    [Fact]
    public async Task A_snapshot_is_not_written_over_another_one()
    {
        var host = await OpenAsync();
        await host.PutAsync("a", "one");
        await host.Persistence.SnapshotAsync(SnapshotDirectory("copy"));

        var act = async () => await host.Persistence.SnapshotAsync(SnapshotDirectory("copy"));

        (await act.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*not empty*");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(65_531)]
    [InlineData(65_532)]
    [InlineData(65_533)]
    [InlineData(1_000_000)]
    public async Task A_large_value_is_read_as_it_was_written_before_and_after_reopening(int length)
    {
        var value = string.Create(length, 0, static (text, _) =>
        {
            for (var i = 0; i < text.Length; i++)
            {
                text[i] = (char)(i % 251);
            }
        });
        var host = await OpenAsync();
        await host.PutLargeAsync("large", value);
        host.State["large"].Should().Be(value);

        host = await ReopenAsync(host);
        host.State["large"].Should().Be(value);

        await host.Persistence.CompactAsync();
        host = await ReopenAsync(host);
        host.State["large"].Should().Be(value);
    }

    [Fact]
    public async Task A_stream_over_a_large_value_can_seek_and_be_read_in_any_way()
    {
        var host = await OpenAsync();
        var bytes = Enumerable.Range(0, 300_000).Select(i => (byte)(i * 31 / 7)).ToArray();
        await host.PutLargeAsync("large", Encoding.Latin1.GetString(bytes));
        host.Persistence.LargeValues!.TryOpen(host.ReferenceOf("large"), out var value).Should().BeTrue();
        value!.Length.Should().Be(bytes.Length);
        await using var stream = value.OpenStream();
        stream.Length.Should().Be(bytes.Length);

        foreach (var position in new[] { 299_999, 0, 65_530, 131_064, 131_063, 200_000 })
        {
            stream.Position = position;
            var part = new byte[70_000];
            var read = position % 2 == 0
                ? await stream.ReadAtLeastAsync(part, part.Length, throwOnEndOfStream: false)
                : stream.ReadAtLeast(part, part.Length, throwOnEndOfStream: false);
            part[..read].Should().Equal(bytes.Skip(position).Take(70_000));
        }

        stream.Seek(5, SeekOrigin.End);
        stream.ReadByte().Should().Be(-1);
        stream.CanWrite.Should().BeFalse();
    }

    [Fact]
    public async Task A_large_value_that_somebody_reads_stays_whole_when_it_is_replaced()
    {
        var host = await OpenAsync();
        await host.PutLargeAsync("large", new string('1', 300_000));
        host.Persistence.LargeValues!.TryOpen(host.ReferenceOf("large"), out var held).Should().BeTrue();
        var stream = new StreamReader(held!.OpenStream());
        var buffer = new char[10];
        await stream.ReadAsync(buffer);

        await host.PutLargeAsync("large", new string('2', 300_000));
        await host.Persistence.FlushAsync();

        (await stream.ReadToEndAsync()).Should().Be(new string('1', 299_990));
        using (var again = new StreamReader(held.OpenStream()))
        {
            (await again.ReadToEndAsync()).Should().Be(new string('1', 300_000));
        }

        stream.Dispose();
        held.Dispose();
        host.State["large"].Should().Be(new string('2', 300_000));
    }

    [Fact]
    public async Task A_large_value_that_was_not_completed_leaves_nothing_behind()
    {
        var host = await OpenAsync();
        await using (var writer = host.Persistence.LargeValues!.Create())
        {
            await writer.WriteAsync(new byte[100_000]);
            writer.Length.Should().Be(100_000);
        }

        host = await ReopenAsync(host);

        host.State.Should().BeEmpty();
    }

    [Fact]
    public async Task Many_writers_at_once_are_all_kept()
    {
        var host = await OpenAsync();
        await Task.WhenAll(Enumerable.Range(0, 50).Select(writer => Task.Run(async () =>
        {
            for (var i = 0; i < 40; i++)
            {
                await host.PutAsync($"{writer}/{i}", $"{writer * i}");
            }
        })));

        host = await ReopenAsync(host);

        host.State.Should().HaveCount(2000);
        host.State["49/39"].Should().Be($"{49 * 39}");
        host.Recovery.HighestRevision.Should().Be(2000);
        host.PreparedMutations.Should().BeGreaterThanOrEqualTo(host.Recovery.Mutations);
    }

    [Fact]
    public async Task Keys_and_metadata_of_any_length_are_kept()
    {
        var host = await OpenAsync();
        var expected = new Dictionary<string, string>();
        foreach (var length in new[] { 1, 2, 7, 8, 9, 511, 512, 4095 })
        {
            var key = new string((char)('a' + (length % 26)), length);
            await host.PutAsync(key, new string('v', length * 3), metadata: new string('m', length));
            expected[key] = new string('v', length * 3);
        }

        host = await ReopenAsync(host);

        host.State.Should().Equal(expected);
        host.MetadataOf(new string((char)('a' + (4095 % 26)), 4095)).Should().HaveLength(4095);
    }

    [Fact]
    public async Task A_cancelled_append_is_not_taken()
    {
        var host = await OpenAsync();
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        var mutation = new KvMutation { Key = "a"u8.ToArray(), Value = "one"u8.ToArray(), Revision = 1 };

        var act = async () => await host.Persistence.AppendAsync(mutation, cancelled.Token);

        await act.Should().ThrowAsync<OperationCanceledException>();
        (await ReopenAsync(host)).State.Should().BeEmpty();
    }

    [Fact]
    public async Task Persistence_opens_once_and_may_be_closed_often()
    {
        var host = await OpenAsync();
        var act = async () => await host.Persistence.OpenAsync(new DictionaryHost(Time));
        await act.Should().ThrowAsync<InvalidOperationException>();

        await host.Persistence.DisposeAsync();
        await host.Persistence.DisposeAsync();

        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Closed);
        host.Persistence.LargeValues.Should().BeNull();
        var put = async () => await host.PutAsync("a", "one");
        await put.Should().ThrowAsync<InvalidOperationException>();
    }

    [Fact]
    public async Task The_same_object_can_be_opened_again()
    {
        var host = await OpenAsync();
        await host.PutAsync("a", "one");
        await host.Persistence.DisposeAsync();

        var again = await DictionaryHost.OpenAsync(host.Persistence, Time);

        again.State.Should().ContainKey("a");
    }
}
