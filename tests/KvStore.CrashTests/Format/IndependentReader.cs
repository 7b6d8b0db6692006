using System.Text;

namespace KvStore.CrashTests.Format;

/// <summary>
/// Reads a directory by what docs/FORMAT.md says, and by nothing else: it shares no code with the library, not even the
/// checksum. Slow and strict.
/// </summary>
internal sealed class IndependentReader
{
    private readonly string _directory;
    private readonly Dictionary<string, (long Revision, Func<string>? Value)> _entries = [];
    private readonly long _nowSeconds;

    private IndependentReader(string directory, long nowSeconds)
    {
        _directory = directory;
        _nowSeconds = nowSeconds;
    }

    public static SortedDictionary<string, string> Read(string directory, long nowSeconds)
    {
        var reader = new IndependentReader(directory, nowSeconds);
        var snapshot = reader.Numbers("*.snapshot").DefaultIfEmpty().Max();
        if (snapshot > 0)
        {
            reader.ReadRecords($"{snapshot:D20}.snapshot", kind: 2, mustEnd: true);
        }

        var logs = reader.Numbers("*.log").Where(number => number > snapshot).Order().ToArray();
        logs.Should().Equal(Enumerable.Range(0, logs.Length).Select(i => snapshot + 1 + i));
        foreach (var log in logs)
        {
            reader.ReadRecords($"{log:D20}.log", kind: 1, mustEnd: log != logs[^1]);
        }

        return new(reader._entries.Where(entry => entry.Value.Value is not null).ToDictionary(entry => entry.Key, entry => entry.Value.Value!()), StringComparer.Ordinal);
    }

    private static uint Crc(params byte[][] parts)
    {
        var crc = 0xFFFFFFFFu;
        foreach (var b in parts.SelectMany(part => part))
        {
            crc ^= b;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc >> 1) ^ ((crc & 1) * 0x82F63B78u);
            }
        }

        return ~crc;
    }

    private IEnumerable<long> Numbers(string pattern) =>
        Directory.EnumerateFiles(_directory, pattern).Select(path => long.Parse(Path.GetFileNameWithoutExtension(path)));

    private byte[] ReadFile(string name, ushort kind, out byte[] salt)
    {
        var file = File.ReadAllBytes(Path.Combine(_directory, name));
        file[..8].Should().Equal(0x4B, 0x76, 0x53, 0x74, 0x6F, 0x72, 0x65, 0x0A);
        BitConverter.ToUInt32(file, 8).Should().BeInRange(1, 2);
        BitConverter.ToUInt16(file, 12).Should().Be(kind);
        BitConverter.ToUInt64(file, 16).Should().Be(ulong.Parse(Path.GetFileNameWithoutExtension(name)));
        BitConverter.ToUInt32(file, 28).Should().Be(Crc(file[..28]));
        salt = file[28..32];
        return file;
    }

    private void ReadRecords(string name, ushort kind, bool mustEnd)
    {
        var file = ReadFile(name, kind, out var salt);
        var records = 0UL;
        for (var at = 32; ;)
        {
            var length = at + 28 <= file.Length ? BitConverter.ToInt32(file, at + 4) : 0;
            var next = at + ((length + 7) / 8 * 8);
            if (length < 28 || next > file.Length || BitConverter.ToUInt32(file, at) != Crc(salt, file[(at + 4)..next]))
            {
                mustEnd.Should().BeFalse("{0} has no whole record at {1}", name, at);
                return;
            }

            var keyAndKind = BitConverter.ToUInt16(file, at + 24);
            var keyEnd = at + 28 + (keyAndKind & 0xFFF);
            var valueStart = keyEnd + BitConverter.ToUInt16(file, at + 26);
            var value = file[valueStart..(at + length)];
            var key = Encoding.UTF8.GetString(file, at + 28, keyAndKind & 0xFFF);
            var revision = BitConverter.ToInt64(file, at + 8) & 0x3FFF_FFFF_FFFF_FFFF;
            var deadline = BitConverter.ToUInt32(file, at + 16);
            var isGone = deadline != 0 && deadline <= _nowSeconds;
            switch (keyAndKind >> 12)
            {
                case 1:
                    Apply(key, revision, isGone ? null : () => Encoding.UTF8.GetString(value));
                    break;
                case 2:
                    Apply(key, revision, null);
                    break;
                case 3:
                    Apply(key, revision, isGone ? null : () => ReadValue(BitConverter.ToInt64(value), BitConverter.ToInt64(value, 8)));
                    break;
                case 4:
                    BitConverter.ToUInt64(value).Should().Be(records);
                    return;
                case 5:
                    BitConverter.ToInt64(value).Should().Be(32);
                    records--;
                    break;
                default:
                    Assert.Fail($"Kind {keyAndKind >> 12} at {at} of {name}.");
                    break;
            }

            records++;
            at = next;
        }
    }

    private string ReadValue(long number, long length)
    {
        var file = ReadFile($"{number:D20}.value", kind: 3, out var salt);
        file.LongLength.Should().Be(32 + length + (4 * ((length + 65_531) / 65_532)));
        var value = new List<byte>();
        for (var block = 0; value.Count < length; block++)
        {
            var start = 32 + (block * 65_536);
            var data = file[(start + 4)..Math.Min(start + 65_536, file.Length)];
            BitConverter.ToUInt32(file, start).Should().Be(Crc(salt, BitConverter.GetBytes((ulong)block), data));
            value.AddRange(data);
        }

        return Encoding.UTF8.GetString([.. value]);
    }

    private void Apply(string key, long revision, Func<string>? value)
    {
        if (!_entries.TryGetValue(key, out var present) || present.Revision < revision)
        {
            _entries[key] = (revision, value);
        }
    }
}
