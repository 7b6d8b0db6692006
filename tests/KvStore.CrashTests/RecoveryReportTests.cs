using KvStore.Persistence.Log;

namespace KvStore.CrashTests;

/// <summary>What opening a namespace found, as its owner and as its log see it.</summary>
public sealed class RecoveryReportTests
{
    private const string FirstLog = "00000000000000000001.log";

    private readonly LogLines _log = new();

    [Fact]
    public void Namespace_in_memory_alone_has_recovered_nothing()
    {
        using var kv = KvNamespace.Create("KV");

        kv.Recovery.Should().BeNull();
    }

    [Fact]
    public async Task Recovered_mutations_and_their_highest_revision_are_reported()
    {
        var disk = await Stores.ClosedAsync(PutThreeAsync);

        await using var kv = await OpenAsync(disk, Stores.Small);

        kv.Recovery!.Mutations.Should().Be(3);
        kv.Recovery.HighestRevision.Should().BeGreaterThanOrEqualTo(3);
        kv.Recovery.TornTail.Should().BeNull();
        kv.Recovery.Damages.Should().BeEmpty();
        _log.Warnings.Should().BeEmpty();
        _log.Lines.Should().ContainMatch("Information Recovered 3 mutations from disk/*");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Torn_tail_is_reported_and_logged(bool readOnly)
    {
        var disk = With(await Stores.CrashedAsync(PutThreeAsync), TearLastRecord);

        await using var kv = await OpenAsync(disk, Stores.Small with { ReadOnly = readOnly });

        kv.Recovery!.Mutations.Should().Be(2);
        kv.Recovery.TornTail!.File.Should().Be("disk/" + FirstLog);
        _log.Warnings.Should().ContainMatch($"Warning The end of disk/{FirstLog} at byte {kv.Recovery.TornTail.Offset} was not completely written*");
    }

    [Fact]
    public async Task Damage_that_a_reader_skips_is_reported_and_logged()
    {
        var disk = With(await Stores.ClosedAsync(PutThreeAsync), log => log[log.AsSpan().IndexOf("second"u8)] ^= 1);

        await using var kv = await OpenAsync(disk, Stores.Small with { ReadOnly = true });

        var damage = kv.Recovery!.Damages.Should().ContainSingle().Which;
        damage.File.Should().Be("disk/" + FirstLog);
        _log.Warnings.Should().ContainMatch($"Error disk/{FirstLog} is damaged at byte {damage.Offset}: {damage.Reason}. It is opened read-only*");
        (await kv.GetTextAsync("first")).Should().Be("1");
        (await kv.GetTextAsync("second")).Should().BeNull();
    }

    private static async Task PutThreeAsync(DictionaryHost host)
    {
        await host.PutAsync("first", "1");
        await host.PutAsync("second", "2");
        await host.PutAsync("third", "3");
    }

    // As a power cut leaves it: without the mark that the record before it was on the disk.
    private static void TearLastRecord(byte[] content)
    {
        var used = content.AsSpan().LastIndexOfAnyExcept((byte)0) + 1;
        used = ((used + LogFormat.Alignment - 1) & -LogFormat.Alignment) - LogFormat.EndBytes;
        content.AsSpan(used).Clear();
        content[used - 9] ^= 0x40;
    }

    private static SimulatedDisk With(SimulatedDisk disk, Action<byte[]> changeLog)
    {
        var files = disk.Files.ToDictionary(file => file.Key, file => (byte[])file.Value.Clone());
        changeLog(files[FirstLog]);
        return SimulatedDisk.With(files);
    }

    private async Task<KvNamespace> OpenAsync(SimulatedDisk disk, FilePersistenceOptions options) =>
        await KvNamespace.OpenAsync("KV", new KvNamespaceOptions
        {
            Persistence = Stores.On(disk, options),
            LoggerFactory = _log,
        });
}
