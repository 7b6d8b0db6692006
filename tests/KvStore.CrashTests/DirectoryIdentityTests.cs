using System.Diagnostics;

namespace KvStore.CrashTests;

/// <summary>A directory that is moved, replaced, or whose lock is deleted while it is open never has two writers.</summary>
public sealed class DirectoryIdentityTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("kvstore-identity-").FullName;
    private readonly string _directory;

    public DirectoryIdentityTests() => _directory = Path.Combine(_root, "data");

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [RealPartFact(RealPart.Unix)]
    public async Task With_the_lock_file_deleted_a_second_writer_is_still_refused()
    {
        await using var host = await OpenAsync();
        await host.PutAsync("a", "one");
        File.Delete(Path.Combine(_directory, "lock"));

        var second = () => OpenAsync();

        await second.Should().ThrowAsync<KvDirectoryLockedException>();
        await host.PutAsync("a", "two");
        await host.Persistence.CompactAsync();
        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
    }

    [RealPartFact(RealPart.Linux)]
    public async Task With_the_lock_file_replaced_the_first_writer_stops_and_says_so()
    {
        var host = await OpenAsync();
        await host.PutAsync("a", "one");
        File.Delete(Path.Combine(_directory, "lock"));
        await File.WriteAllTextAsync(Path.Combine(_directory, "lock"), "");

        await ExpectStoppedAsync(host, "*the file lock was replaced*");
        await host.Persistence.DisposeAsync();
    }

    [RealPartTheory(RealPart.Linux)]
    [InlineData("put")]
    [InlineData("large")]
    [InlineData("compact")]
    [InlineData("close")]
    public async Task When_the_directory_is_moved_and_another_made_nothing_of_the_other_is_touched(string action)
    {
        var first = await OpenAsync();
        for (var i = 0; i < 10; i++)
        {
            await first.PutAsync($"first {i}", new string('1', 1000));
        }

        Directory.Move(_directory, _directory + ".old");
        var second = await OpenAsync();
        for (var i = 0; i < 20; i++)
        {
            await second.PutAsync($"second {i}", new string('2', 1000));
        }

        await second.PutLargeAsync("large", new string('L', 2000));
        var before = Content(_directory);

        Func<Task> act = action switch
        {
            "put" => () => first.PutAsync("late", "x"),
            "large" => () => first.PutLargeAsync("late", new string('L', 2000)),
            "compact" => () => first.Persistence.CompactAsync().AsTask(),
            _ => () => first.Persistence.DisposeAsync().AsTask(),
        };
        (await act.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*moved or removed, and another one stands in its place*");
        if (action != "close")
        {
            await ExpectStoppedAsync(first, "*");
            await first.Persistence.DisposeAsync();
        }

        Content(_directory).Should().BeEquivalentTo(before);
        var state = second.State;
        await second.Persistence.DisposeAsync();
        var again = await OpenAsync();
        again.State.Should().Equal(state);
        await again.Persistence.DisposeAsync();

        // And what the first one had acknowledged is where it was moved to.
        Directory.Delete(_directory, recursive: true);
        Directory.Move(_directory + ".old", _directory);
        await using var old = await OpenAsync();
        old.State.Should().HaveCount(10);
    }

    [RealPartFact(RealPart.Linux)]
    public async Task Large_put_into_a_moved_directory_stops_writes_as_a_small_one_does()
    {
        var host = await OpenAsync();
        await host.PutAsync("a", "one");
        Directory.Move(_directory, _directory + ".old");

        var large = () => host.PutLargeAsync("late", new string('L', 2000));

        (await large.Should().ThrowAsync<KvPersistenceException>()).Which.Message.Should().Contain("Nothing more is written").And.NotContain("Later writes may succeed");
        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Failed);
        Directory.Move(_directory + ".old", _directory);
        await host.Persistence.ReopenAsync();
        await host.PutLargeAsync("late", new string('L', 2000));
        await host.Persistence.DisposeAsync();
    }

    [RealPartFact(RealPart.Linux)]
    public async Task When_the_directory_is_moved_writes_stop_even_when_it_comes_back()
    {
        var host = await OpenAsync();
        await host.PutAsync("a", "one");
        Directory.Move(_directory, _directory + ".old");
        await ExpectStoppedAsync(host, "*it was moved or removed*");
        Directory.Move(_directory + ".old", _directory);

        await ExpectStoppedAsync(host, "*");

        host.State.Should().Equal(new SortedDictionary<string, string> { ["a"] = "one" });
        await host.Persistence.DisposeAsync();
        await using var again = await OpenAsync();
        again.State.Should().Equal(host.State);
    }

    [RealPartTheory(RealPart.Linux)]
    [InlineData(Durability.Immediate, "put")]
    [InlineData(Durability.Immediate, "large")]
    [InlineData(Durability.Immediate, "compact")]
    [InlineData(Durability.Interval, "put")]
    [InlineData(Durability.Buffered, "put")]
    public async Task When_the_directory_is_back_in_its_place_it_can_be_opened_again(Durability durability, string action)
    {
        var host = await OpenAsync(durability);
        for (var i = 0; i < 10; i++)
        {
            await host.PutAsync($"{i}", new string('1', 1000));
        }

        for (var round = 0; round < 3; round++)
        {
            Directory.Move(_directory, _directory + ".old");
            Func<Task> act = action switch
            {
                "large" => () => host.PutLargeAsync("late", new string('L', 2000)),
                "compact" => () => host.Persistence.CompactAsync().AsTask(),
                _ when durability != Durability.Immediate => () => host.Persistence.FlushAsync().AsTask(),
                _ => () => host.PutAsync("late", "x"),
            };
            if (durability != Durability.Immediate)
            {
                // Acknowledged, so it is kept, although it is on no disk.
                await host.PutAsync($"relaxed {round}", "x");
            }

            await act.Should().ThrowAsync<KvPersistenceException>();
            var reopen = () => host.Persistence.ReopenAsync().AsTask();
            (await reopen.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*it was moved or removed*");
            Directory.CreateDirectory(_directory);
            (await reopen.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*another one stands in its place*");
            Directory.GetFiles(_directory).Should().BeEmpty("nothing of another one is touched");
            Directory.Delete(_directory);
            Directory.Move(_directory + ".old", _directory);

            await reopen();

            host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Healthy);
            await host.PutAsync($"again {round}", "x");
            await host.PutLargeAsync($"large {round}", new string('L', 2000));
            await host.Persistence.CompactAsync();
        }

        var state = host.State;
        state.Should().NotContainKey("late").And.HaveCount(durability == Durability.Immediate ? 16 : 19);
        await host.Persistence.DisposeAsync();
        await using var opened = await OpenAsync();
        opened.State.Should().Equal(state);
    }

    [RealPartFact(RealPart.Linux)]
    public async Task When_the_directory_was_changed_while_it_was_away_it_is_not_opened_again()
    {
        var host = await OpenAsync();
        await host.PutAsync("a", "one");
        var before = await File.ReadAllBytesAsync(Path.Combine(_directory, "manifest"));
        await host.Persistence.CompactAsync();
        Directory.Move(_directory, _directory + ".old");
        await ExpectStoppedAsync(host, "*it was moved or removed*");
        var now = await File.ReadAllBytesAsync(Path.Combine(_directory + ".old", "manifest"));
        await File.WriteAllBytesAsync(Path.Combine(_directory + ".old", "manifest"), before);
        Directory.Move(_directory + ".old", _directory);
        var reopen = () => host.Persistence.ReopenAsync().AsTask();

        (await reopen.Should().ThrowAsync<KvPersistenceException>()).WithMessage("*manifest is not the one*");
        await ExpectStoppedAsync(host, "*");
        await File.WriteAllBytesAsync(Path.Combine(_directory, "manifest"), now);
        await reopen();
        await host.PutAsync("b", "two");

        await host.Persistence.DisposeAsync();
        await using var opened = await OpenAsync();
        opened.State.Should().Equal(host.State).And.HaveCount(2);
    }

    [RealPartFact(RealPart.Unix)]
    public async Task A_setting_that_switches_off_the_locks_of_NET_does_not_let_a_second_one_in()
    {
        var start = new ProcessStartInfo(Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet")
        {
            RedirectStandardOutput = true,
            Environment = { ["DOTNET_SYSTEM_IO_DISABLEFILELOCKING"] = "1" },
        };
        foreach (var argument in new[] { Path.Combine(AppContext.BaseDirectory, "KvStore.CrashChild.dll"), _directory, "1", "1" })
        {
            start.ArgumentList.Add(argument);
        }

        using var child = Process.Start(start)!;
        try
        {
            (await child.StandardOutput.ReadLineAsync()).Should().NotBeNull("the child writes when it is open");
            _ = child.StandardOutput.BaseStream.CopyToAsync(Stream.Null);

            var act = () => OpenAsync();

            (await act.Should().ThrowAsync<KvDirectoryLockedException>()).Which.ProcessId.Should().Be(child.Id);
        }
        finally
        {
            child.Kill();
            await child.WaitForExitAsync();
        }
    }

    private static Dictionary<string, string> Content(string directory) =>
        Directory.GetFiles(directory).Where(path => !path.EndsWith("lock", StringComparison.Ordinal)).ToDictionary(path => Path.GetFileName(path)!, path => Convert.ToBase64String(File.ReadAllBytes(path)));

    private static async Task ExpectStoppedAsync(DictionaryHost host, string message)
    {
        var put = () => host.PutAsync("late", "x");
        (await put.Should().ThrowAsync<KvPersistenceException>()).WithMessage(message);
        await put.Should().ThrowAsync<KvPersistenceException>();
        host.Persistence.Health.Status.Should().Be(KvPersistenceStatus.Failed);
        host.State.Should().NotContainKey("late");
    }

    private Task<DictionaryHost> OpenAsync(Durability durability = Durability.Immediate) =>
        DictionaryHost.OpenAsync(new FilePersistence(_directory, Stores.Small with { Durability = durability }));
}
