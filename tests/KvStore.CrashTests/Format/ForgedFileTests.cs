using System.Buffers.Binary;
using KvStore.Persistence.Log;
using KvStore.Records;

namespace KvStore.CrashTests.Format;

/// <summary>
/// Files with right checksums over wrong contents: whatever they say, opening ends with the documented exception or with
/// whole entries, and takes no more memory than the files are long.
/// </summary>
public sealed class ForgedFileTests
{
    private static readonly FilePersistenceOptions s_options = Stores.Small with { LogFileBytes = 64 * 1024 };

    // Those that once found something stay; each is one directory with a few forged fields.
    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 60)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public async Task A_forged_directory_is_refused_as_documented_and_costs_no_memory(int seed)
    {
        var random = new Random(seed);
        var source = await SomeFilesAsync(random.Next(2) == 0);
        for (var round = 0; round < 20; round++)
        {
            var files = source.ToDictionary(file => file.Key, file => (byte[])file.Value.Clone());
            for (var i = random.Next(1, 4); i > 0; i--)
            {
                Forge(files, random);
            }

            await OpenAsync(files, s_options with { ReadOnly = random.Next(3) == 0 });
        }
    }

    [Theory]
    [InlineData(0L)]
    [InlineData(-1L)]
    [InlineData(long.MaxValue)]
    [InlineData(long.MinValue)]
    public async Task A_forged_revision_is_damage(long revision)
    {
        var files = (await SomeFilesAsync(isClosed: true)).ToDictionary(file => file.Key, file => file.Value);
        var name = files.Keys.Where(name => name.EndsWith(".log")).Min()!;
        var header = HeaderBytes(files[name]);
        BinaryPrimitives.WriteInt64LittleEndian(files[name].AsSpan(header + LogFormat.RevisionOffset), revision);
        Seal(files[name], header);

        var error = await OpenAsync(files, s_options);

        error.Should().BeOfType<KvDamagedFileException>().Which.File.Should().Be("disk/" + name);
    }

    [Theory]
    [InlineData(0, long.MaxValue)]
    [InlineData(0, 600_000_000L)]
    [InlineData(8, long.MaxValue)]
    [InlineData(16, 0L)]
    [InlineData(16, -8L)]
    [InlineData(16, 64L)]
    [InlineData(16, long.MaxValue)]
    public async Task A_forged_end_of_a_snapshot_is_damage(int field, long value)
    {
        var files = (await SomeFilesAsync(isClosed: true)).ToDictionary(file => file.Key, file => file.Value);
        var name = files.Keys.Single(name => name.EndsWith(".snapshot"));
        var end = files[name].Length - LogFormat.EndBytes;
        BinaryPrimitives.WriteInt64LittleEndian(files[name].AsSpan(end + LogFormat.RecordHeaderBytes + field), value);
        Seal(files[name], end);

        var error = await OpenAsync(files, s_options);

        error.Should().BeOfType<KvDamagedFileException>().Which.File.Should().Be("disk/" + name);
    }

    [Fact]
    public async Task A_manifest_with_any_bit_flipped_or_cut_off_anywhere_is_refused()
    {
        var files = await SomeFilesAsync(isClosed: true);
        var manifest = files["manifest"];
        for (var length = 0; length <= manifest.Length + 1; length++)
        {
            var cut = new byte[length];
            manifest.AsSpan(0, Math.Min(length, manifest.Length)).CopyTo(cut);
            var act = () => Manifest.Parse(cut, "manifest");
            if (length != manifest.Length)
            {
                act.Should().Throw<KvDamagedFileException>();
            }
        }

        for (var bit = 0; bit < manifest.Length * 8; bit++)
        {
            var flipped = (byte[])manifest.Clone();
            flipped[bit / 8] ^= (byte)(1 << (bit % 8));
            var act = () => Manifest.Parse(flipped, "manifest");
            act.Should().Throw<KvPersistenceException>();
        }
    }

    [Fact]
    public void A_manifest_that_claims_any_number_of_files_takes_no_memory_for_them()
    {
        foreach (var count in new[] { 1, 130_000, int.MaxValue, -1 })
        {
            var bytes = new byte[92];
            var header = FileHeader.Write(bytes, FileKind.Manifest, 1, Guid.NewGuid());
            bytes[64] = 2;
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(68), count);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(88), Crc32C.Append(header.Seed, bytes.AsSpan(64, 24)));
            var before = GC.GetAllocatedBytesForCurrentThread();

            var act = () => Manifest.Parse(bytes, "manifest");

            act.Should().Throw<KvDamagedFileException>();
            (GC.GetAllocatedBytesForCurrentThread() - before).Should().BeLessThan(4_000_000);
        }
    }

    private static async Task<IReadOnlyDictionary<string, byte[]>> SomeFilesAsync(bool isClosed)
    {
        async Task WriteAsync(DictionaryHost host)
        {
            await host.PutLargeAsync("large", new string('L', 2000));
            for (var i = 0; i < 12; i++)
            {
                await host.PutAsync($"key {i}", new string('v', i * 40), metadata: "{}");
            }

            await host.Persistence.CompactAsync();
            await host.PutLargeAsync("larger", new string('M', 3000), deadlineSeconds: 4_000_000_000);
            for (var i = 0; i < 12; i++)
            {
                await host.PutAsync($"key {i % 5}", $"value {i}");
            }

            await host.DeleteAsync("key 1");
            await host.TouchAsync("key 2", 4_000_000_000);
            await host.TouchAsync("key 2", 0);
            await host.TouchAsync("key 9", 1_700_000_001);
            await host.TouchAsync("larger", 4_000_000_001);
        }

        return (isClosed ? await Stores.ClosedAsync(WriteAsync, s_options) : await Stores.CrashedAsync(WriteAsync, s_options)).Files;
    }

    /// <summary>Opens, and reads everything that opened. Any other exception than the documented one fails the test.</summary>
    private static async Task<Exception?> OpenAsync(Dictionary<string, byte[]> files, FilePersistenceOptions options)
    {
        var bytes = files.Values.Sum(file => file.LongLength);
        var before = GC.GetTotalAllocatedBytes();
        try
        {
            var host = await Stores.OpenAsync(SimulatedDisk.With(files), options);
            host.PreparedMutations.Should().BeLessThan(bytes);
            try
            {
                _ = host.State;
            }
            catch (KvDamagedFileException)
            {
                // A large value is verified when it is read.
            }

            await host.PutAsync("after", "x");
            await host.Persistence.DisposeAsync();
            return null;
        }
        catch (KvPersistenceException e)
        {
            return e;
        }
        finally
        {
            // Other tests run at the same time, so the bound is generous; what a forged length asked for was hundreds of megabytes.
            (GC.GetTotalAllocatedBytes() - before).Should().BeLessThan(512L * 1024 * 1024);
        }
    }

    private static void Forge(Dictionary<string, byte[]> files, Random random)
    {
        var name = files.Keys.Where(name => name is not ("lock" or "lock.pid")).Order(StringComparer.Ordinal).ElementAt(random.Next(files.Count));
        var file = files[name];
        var header = HeaderBytes(file);
        if (name == "manifest")
        {
            WriteStrange(file, 64 + random.Next(file.Length - 72), random);
            BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(file.Length - 4), Crc32C.Append(Seed(file), file.AsSpan(64, file.Length - 68)));
        }
        else if (random.Next(5) == 0)
        {
            WriteStrange(file, 8 + random.Next(header - 16), random);
            BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(header - 4), Crc32C.Compute(file.AsSpan(0, header - 4)));
        }
        else if (!name.EndsWith(".value"))
        {
            var offsets = Offsets(file);
            var at = offsets[random.Next(offsets.Count)];
            WriteStrange(file, at + 4 + random.Next(60), random);
            Seal(file, at);
        }
    }

    private static List<int> Offsets(byte[] file)
    {
        var offsets = new List<int>();
        for (var at = HeaderBytes(file); at + LogFormat.RecordHeaderBytes <= file.Length;)
        {
            var length = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(at + LogFormat.LengthOffset));
            if (length < LogFormat.RecordHeaderBytes || length > file.Length - at)
            {
                break;
            }

            offsets.Add(at);
            at += LogFormat.Align(length);
        }

        return offsets.Count == 0 ? [HeaderBytes(file)] : offsets;
    }

    private static void WriteStrange(byte[] file, int offset, Random random)
    {
        long[] strange = [0, 1, -1, 7, 8, 64, 255, 256, 65_535, 65_536, int.MaxValue, int.MinValue, 600_000_000, 1L << 40, long.MaxValue, long.MinValue, random.NextInt64()];
        var value = strange[random.Next(strange.Length)];
        if (offset + 8 > file.Length)
        {
            return;
        }

        switch (random.Next(3))
        {
            case 0:
                BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(offset), value);
                break;
            case 1:
                BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(offset), (int)value);
                break;
            default:
                file[offset] = (byte)value;
                break;
        }
    }

    // The checksum that belongs to what the record now says of its length, as far as the file goes.
    private static void Seal(byte[] file, int at)
    {
        if (at + LogFormat.RecordHeaderBytes > file.Length)
        {
            return;
        }

        var length = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(at + LogFormat.LengthOffset));
        var size = (int)Math.Clamp(((long)length + 7) & -8, LogFormat.RecordHeaderBytes, file.Length - at);
        BinaryPrimitives.WriteUInt32LittleEndian(
            file.AsSpan(at), Crc32C.Append(Seed(file), file.AsSpan(at + LogFormat.LengthOffset, size - LogFormat.LengthOffset)));
    }

    private static uint Seed(byte[] file) => Crc32C.Compute(file.AsSpan(HeaderBytes(file) - 4, 4));

    private static int HeaderBytes(byte[] file) => BitConverter.ToInt32(file, 8) == 1 ? 32 : 64;
}
