using System.Globalization;

namespace KvStore.Tests.Writes;

/// <summary>
/// Random conditional writes, touches, puts and deletes, beside a dictionary that does the same. On a disk the namespace is also compacted,
/// copied and reopened, and the clock moves to the very moments at which entries expire.
/// </summary>
public sealed class ConditionModelTests : IDisposable
{
    private const int Keys = 6;
    private const int Steps = 400;
    private const int LargeBytes = 1500;

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-conditions-").FullName;
    private readonly FakeTimeProvider _clock = new(DateTimeOffset.FromUnixTimeSeconds(1_700_000_000));
    private readonly Dictionary<string, Entry> _model = new(StringComparer.Ordinal);
    private KvNamespace? _kv;
    private int _copies;

    public void Dispose()
    {
        _kv?.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Theory]
    [InlineData(1, null)]
    [InlineData(2, null)]
    [InlineData(3, Durability.Immediate)]
    [InlineData(4, Durability.Immediate)]
    [InlineData(5, Durability.Immediate)]
    [InlineData(6, Durability.Interval)]
    [InlineData(7, Durability.Buffered)]
    [InlineData(1038, Durability.Immediate)]
    public async Task Namespace_does_what_a_dictionary_does(int seed, Durability? durability)
    {
        var random = new Random(seed);
        _kv = await OpenAsync(Path.Combine(_directory, "store"), durability);
        for (var step = 0; step < Steps; step++)
        {
            var what = await StepAsync(random, durability);
            await CompareAsync(_kv, FormattableString.Invariant($"seed {seed}, step {step}: {what}"));
        }
    }

    private async Task<string> StepAsync(Random random, Durability? durability)
    {
        var kv = _kv!;
        var key = $"k{random.Next(Keys)}";
        var present = _model.GetValueOrDefault(key);
        switch (random.Next(14))
        {
            case 0:
                await kv.DeleteAsync(key);
                _model.Remove(key);
                return $"delete {key}";
            case 1 or 2:
                var ttl = Ttl(random);
                await kv.PutAsync(key, Content(random, out var value), new KvPutOptions { ExpirationTtl = ttl });
                _model[key] = new Entry(value, EndOf(ttl), (await kv.GetAsync(key)).Revision);
                return $"put {key} {ttl}";
            case 3 or 4 or 5:
                var condition = Condition(random, present, out var holds);
                ttl = Ttl(random);
                var result = await kv.TryPutAsync(key, Content(random, out value), condition, new KvPutOptions { ExpirationTtl = ttl });
                result.Succeeded.Should().Be(holds);
                if (!holds)
                {
                    result.Revision.Should().Be(present?.Revision ?? 0);
                    return $"refused put {key}";
                }

                result.Revision.Should().BeGreaterThan(present?.Revision ?? 0);
                _model[key] = new Entry(value, EndOf(ttl), result.Revision);
                return $"conditional put {key} {ttl}";
            case 6:
                condition = Condition(random, present, out holds);
                result = await kv.TryDeleteAsync(key, condition);
                result.Succeeded.Should().Be(holds);
                if (holds)
                {
                    (result.Revision > (present?.Revision ?? 0)).Should().Be(present is not null);
                    _model.Remove(key);
                }

                return $"conditional delete {key} {holds}";
            case 7 or 8 or 9:
                ttl = Ttl(random);
                (await kv.TouchAsync(key, ttl)).Should().Be(present is not null);
                if (present is not null)
                {
                    var revision = (await kv.GetAsync(key)).Revision;
                    revision.Should().BeGreaterThan(present.Revision);
                    _model[key] = present with { EndTicks = EndOf(ttl), Revision = revision };
                }

                return $"touch {key} {ttl}";
            case 10:
                Advance(random);
                return "later";
            case 11 when durability is not null:
                await kv.CompactAsync();
                return "compact";
            case 12 when durability is not null:
                await kv.DisposeAsync();
                _kv = await OpenAsync(Path.Combine(_directory, "store"), durability);
                return "reopen";
            case 13 when durability is not null && random.Next(4) == 0:
                var copy = Path.Combine(_directory, $"copy {_copies++}");
                await kv.SnapshotAsync(copy);
                await using (var copied = await OpenAsync(copy, durability))
                {
                    await CompareAsync(copied, "a copy");
                }

                return "copy";
            default:
                _clock.Advance(TimeSpan.FromTicks(random.NextInt64(TimeSpan.TicksPerSecond)));
                Expire();
                return "a little later";
        }
    }

    // To a moment at which an entry expires, or just before; sometimes far.
    private void Advance(Random random)
    {
        var ends = _model.Values.Select(entry => entry.EndTicks).Where(end => end != long.MaxValue).Order().ToArray();
        var now = _clock.GetUtcNow().UtcTicks;
        var target = ends.Length > 0 && random.Next(4) > 0 ? ends[random.Next(ends.Length)] - random.Next(2) : now + TimeSpan.FromSeconds(random.Next(120)).Ticks;
        if (target > now)
        {
            _clock.Advance(TimeSpan.FromTicks(target - now));
        }

        Expire();
    }

    private void Expire()
    {
        foreach (var (key, entry) in _model.ToArray())
        {
            if (entry.EndTicks <= _clock.GetUtcNow().UtcTicks)
            {
                _model.Remove(key);
            }
        }
    }

    private async Task CompareAsync(KvNamespace kv, string when)
    {
        (await kv.ListAsync()).Keys.Select(key => key.Name).Should().Equal(_model.Keys.Order(StringComparer.Ordinal), when);
        for (var i = 0; i < Keys; i++)
        {
            using var read = await kv.GetAsync($"k{i}");
            var expected = _model.GetValueOrDefault($"k{i}");
            read.Exists.Should().Be(expected is not null, when);
            if (expected is not null)
            {
                using var text = new StreamReader(read.OpenStream());
                (await text.ReadToEndAsync()).Should().Be(expected.Value, when);
                read.Revision.Should().Be(expected.Revision, when);
                read.Expiration.HasValue.Should().Be(expected.EndTicks != long.MaxValue, when);
            }
        }
    }

    private static KvCondition Condition(Random random, Entry? present, out bool holds)
    {
        var kind = random.Next(5);
        var other = (present?.Revision ?? 0) + random.Next(1, 3);
        holds = kind switch
        {
            0 => present is null,
            1 => present is not null,
            2 or 3 => true,
            _ => false,
        };
        return kind switch
        {
            0 => KvCondition.Absent,
            1 => KvCondition.Present,
            2 or 3 => KvCondition.Revision(present?.Revision ?? 0),
            _ => KvCondition.Revision(other),
        };
    }

    private static KvContent Content(Random random, out string value)
    {
        value = random.Next(1_000_000).ToString(CultureInfo.InvariantCulture) + new string('x', random.Next(4) == 0 ? LargeBytes : random.Next(20));
        return random.Next(3) == 0 ? new MemoryStream(System.Text.Encoding.ASCII.GetBytes(value)) : value;
    }

    private static TimeSpan? Ttl(Random random) => random.Next(3) == 0 ? null : TimeSpan.FromSeconds(60 + random.Next(60));

    // An entry is gone at the first half second at which its time to live has passed.
    private long EndOf(TimeSpan? ttl)
    {
        const long Half = TimeSpan.TicksPerSecond / 2;
        return ttl is { } span ? (_clock.GetUtcNow().UtcTicks + span.Ticks + Half - 1) / Half * Half : long.MaxValue;
    }

    private async Task<KvNamespace> OpenAsync(string directory, Durability? durability) => await KvNamespace.OpenAsync("KV", new KvNamespaceOptions
    {
        TimeProvider = _clock,
        Persistence = durability is { } promised
            ? new FilePersistence(directory, new FilePersistenceOptions { Durability = promised, LogFileBytes = 16 * 1024, CompactionBytesMin = 64 * 1024, LargeValueBytes = 1024 })
            : null,
    });

    private sealed record Entry(string Value, long EndTicks, long Revision);
}
