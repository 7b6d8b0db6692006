using System.Text;

namespace KvStore.CrashTests.Format;

/// <summary>
/// Reads a directory by what docs/FORMAT.md says, and by nothing else: it shares no code with the library, not even the
/// checksum. Slow and strict.
/// </summary>
internal sealed class IndependentReader
{
    private readonly string _directory;
    private readonly Dictionary<string, (long Revision, uint Deadline, Func<string>? Value)> _entries = [];
    private readonly List<(string Key, long Revision, long Touched, uint Deadline)> _touches = [];
    private readonly long _nowSeconds;
    private readonly Dictionary<string, (long Check, long EndOffset, uint EndChecksum)> _listed = [];
    private byte[]? _identity;

    private IndependentReader(string directory, long nowSeconds)
    {
        _directory = directory;
        _nowSeconds = nowSeconds;
    }

    public static SortedDictionary<string, string> Read(string directory, long nowSeconds)
    {
        var reader = new IndependentReader(directory, nowSeconds);
        if (File.Exists(Path.Combine(directory, "manifest")))
        {
            reader.ReadListed();
            return reader.State();
        }

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

        return reader.State();
    }

    private SortedDictionary<string, string> State()
    {
        foreach (var (key, revision, touched, deadline) in _touches.OrderBy(touch => touch.Revision))
        {
            if (_entries.TryGetValue(key, out var entry) && entry.Value is not null && entry.Revision == touched)
            {
                _entries[key] = (revision, deadline, entry.Value);
            }
        }

        return new(
            _entries.Where(entry => entry.Value.Value is not null && !(entry.Value.Deadline != 0 && entry.Value.Deadline <= _nowSeconds))
                .ToDictionary(entry => entry.Key, entry => entry.Value.Value!()),
            StringComparer.Ordinal);
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

    private void ReadListed()
    {
        var file = ReadFile("manifest", kind: 4, out var header, out var salt);
        header.Should().Be(64);
        _identity = file[24..40];
        var count = BitConverter.ToInt32(file, 68);
        file.Length.Should().Be(88 + (count * 32) + 4);
        BitConverter.ToUInt32(file, file.Length - 4).Should().Be(Crc(salt, file[64..^4]));
        var state = BitConverter.ToUInt16(file, 64);
        state.Should().BeOneOf((ushort)1, (ushort)2);
        for (var at = 88; at < file.Length - 4; at += 32)
        {
            var kind = BitConverter.ToUInt16(file, at);
            var name = $"{BitConverter.ToInt64(file, at + 8):D20}.{(kind == 1 ? "log" : "snapshot")}";
            _listed[name] = (BitConverter.ToInt64(file, at + 16), BitConverter.ToInt64(file, at + 24), BitConverter.ToUInt32(file, at + 4));
            ReadRecords(name, kind, mustEnd: _listed[name].EndOffset != 0);
        }
    }

    private byte[] ReadFile(string name, ushort kind, out int header, out byte[] salt)
    {
        var file = File.ReadAllBytes(Path.Combine(_directory, name));
        file[..8].Should().Equal(0x4B, 0x76, 0x53, 0x74, 0x6F, 0x72, 0x65, 0x0A);
        var version = BitConverter.ToUInt32(file, 8);
        version.Should().BeOneOf(1, 2, 3);
        header = version == 1 ? 32 : 64;
        BitConverter.ToUInt16(file, 12).Should().Be(kind);
        BitConverter.ToUInt32(file, header - 4).Should().Be(Crc(file[..(header - 4)]));
        if (kind != 4)
        {
            BitConverter.ToUInt64(file, 16).Should().Be(ulong.Parse(Path.GetFileNameWithoutExtension(name)));
            if (version > 1)
            {
                file[24..40].Should().Equal(_identity);
            }
        }

        if (_listed.TryGetValue(name, out var listed))
        {
            (version == 1 ? 0 : BitConverter.ToInt64(file, 40)).Should().Be(listed.Check);
        }

        salt = file[(header - 4)..header];
        return file;
    }

    private void ReadRecords(string name, ushort kind, bool mustEnd)
    {
        var file = ReadFile(name, kind, out var header, out var salt);
        var records = 0UL;
        for (var at = header; ;)
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
            switch (keyAndKind >> 12)
            {
                case 1:
                    Apply(key, revision, deadline, () => Encoding.UTF8.GetString(value));
                    break;
                case 2:
                    Apply(key, revision, 0, null);
                    break;
                case 3:
                    Apply(key, revision, deadline, () => ReadValue(BitConverter.ToInt64(value), BitConverter.ToInt64(value, 8), value.Length == 16 ? 0 : BitConverter.ToInt64(value, 16)));
                    break;
                case 4:
                    BitConverter.ToUInt64(value).Should().Be(records);
                    if (_listed.TryGetValue(name, out var listed) && listed.EndOffset != 0)
                    {
                        ((long)at, BitConverter.ToUInt32(file, at)).Should().Be((listed.EndOffset, listed.EndChecksum));
                    }

                    return;
                case 5:
                    BitConverter.ToInt64(value).Should().Be(header);
                    records--;
                    break;
                case 6:
                    valueStart.Should().Be(keyEnd);
                    value.Should().HaveCount(8);
                    _touches.Add((key, revision, BitConverter.ToInt64(value), deadline));
                    break;
                default:
                    Assert.Fail($"Kind {keyAndKind >> 12} at {at} of {name}.");
                    break;
            }

            records++;
            at = next;
        }
    }

    private string ReadValue(long number, long length, long check)
    {
        var file = ReadFile($"{number:D20}.value", kind: 3, out var header, out var salt);
        (header == 32 ? 0 : BitConverter.ToInt64(file, 40)).Should().Be(check);
        file.LongLength.Should().Be(header + length + (4 * ((length + 65_531) / 65_532)));
        var value = new List<byte>();
        for (var block = 0; value.Count < length; block++)
        {
            var start = header + (block * 65_536);
            var data = file[(start + 4)..Math.Min(start + 65_536, file.Length)];
            BitConverter.ToUInt32(file, start).Should().Be(Crc(salt, BitConverter.GetBytes((ulong)block), data));
            value.AddRange(data);
        }

        return Encoding.UTF8.GetString([.. value]);
    }

    private void Apply(string key, long revision, uint deadline, Func<string>? value)
    {
        if (!_entries.TryGetValue(key, out var present) || present.Revision < revision)
        {
            _entries[key] = (revision, deadline, value);
        }
    }
}
