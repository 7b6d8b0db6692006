namespace KvStore.CrashTests.Format;

/// <summary>A directory of every format version that was ever written opens as it did then.</summary>
public sealed class FixtureTests : IDisposable
{
    private static readonly Dictionary<string, string> s_expected = new()
    {
        ["empty"] = "",
        ["greeting"] = "hello",
        ["large"] = string.Concat(Enumerable.Range(0, 14_000).Select(i => $"{i:D5}")),
        ["last"] = "of a log without an end",
        ["overwritten"] = "new",
    };

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-fixture-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("version1")]
    [InlineData("version2")]
    public async Task A_directory_of_this_version_opens(string version)
    {
        var source = Path.Combine(AppContext.BaseDirectory, "Fixtures", version);
        foreach (var file in Directory.EnumerateFiles(source))
        {
            File.Copy(file, Path.Combine(_directory, Path.GetFileName(file)));
        }

        var host = await DictionaryHost.OpenAsync(new FilePersistence(_directory));
        await using (host.Persistence)
        {
            host.State.Should().Equal(s_expected);
            host.MetadataOf("greeting").Should().Be("{\"lang\":\"en\"}");
            host.DeadlineOf("overwritten").Should().Be(4_000_000_000);
            host.Recovery.HighestRevision.Should().Be(10);
            await host.PutAsync("new", "goes on");
        }

        IndependentReader.Read(_directory, 1_700_000_000).Should().Equal(s_expected.Append(new("new", "goes on")).OrderBy(pair => pair.Key, StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_directory_of_version_1_becomes_one_of_this_version_step_by_step()
    {
        foreach (var file in Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "Fixtures", "version1")))
        {
            File.Copy(file, Path.Combine(_directory, Path.GetFileName(file)));
        }

        for (var round = 0; round < 4; round++)
        {
            var host = await DictionaryHost.OpenAsync(new FilePersistence(_directory, new FilePersistenceOptions { LargeValueBytes = 1024 }));
            host.State.Should().Equal(s_expected);
            await host.PutLargeAsync("another", new string((char)('a' + round), 2000));
            await host.DeleteAsync("another");
            if (round == 1)
            {
                await host.Persistence.CompactAsync();
            }

            await host.Persistence.DisposeAsync();
            IndependentReader.Read(_directory, 1_700_000_000).Should().Equal(s_expected);
        }

        File.Exists(Path.Combine(_directory, "manifest")).Should().BeTrue();
        Directory.GetFiles(_directory, "*.value").Should().ContainSingle("the large value of version 1 stays as it is");
    }

    [Theory]
    [InlineData("version1")]
    [InlineData("version2")]
    public void The_documentation_is_enough_to_read_it(string version)
    {
        var directory = Path.Combine(AppContext.BaseDirectory, "Fixtures", version);

        IndependentReader.Read(directory, 1_700_000_000).Should().Equal(s_expected);
        IndependentReader.Read(directory, 4_000_000_000).Should().NotContainKey("overwritten", "it has expired, and so has what it replaced");
    }

    [Theory]
    [InlineData(Durability.Immediate)]
    [InlineData(Durability.Interval)]
    public async Task The_documentation_is_enough_to_read_what_is_written_now(Durability durability)
    {
        var persistence = new FilePersistence(_directory, new FilePersistenceOptions
        {
            Durability = durability,
            LogFileBytes = 4096,
            CompactionBytesMin = 8192,
            LargeValueBytes = 1024,
        });
        var host = await DictionaryHost.OpenAsync(persistence);
        for (var i = 0; i < 300; i++)
        {
            await host.PutAsync($"key {i % 20}", $"{i} {new string('v', i)}", deadlineSeconds: i % 2 == 0 ? 1_700_000_500u : 0, metadata: "{}");
            if (i % 3 == 0)
            {
                await host.TouchAsync($"key {i % 20}", i % 4 == 0 ? 1_700_001_000u : 1_700_000_000u + (uint)i + 1);
            }

            if (i % 20 == 7)
            {
                await host.DeleteAsync($"key {i % 13}");
                await host.PutLargeAsync("large", new string('L', i * 1000));
            }
        }

        var (state, deadlines) = (host.State, host.Deadlines);
        await persistence.DisposeAsync();

        foreach (var later in new[] { 0, 150, 300, 499, 500, 999, 1000 })
        {
            var nowSeconds = 1_700_000_000 + later;
            IndependentReader.Read(_directory, nowSeconds).Should().Equal(
                state.Where(entry => !deadlines.TryGetValue(entry.Key, out var deadline) || deadline > nowSeconds));
        }
    }
}
