using System.Text;

namespace KvStore.RealPartsTests;

/// <summary>Clocks that are ahead at boot and corrected later, that jump, and that show a time before there were computers.</summary>
public sealed class WrongClockTests : IDisposable
{
    private static readonly DateTimeOffset s_now = new(2026, 11, 26, 12, 0, 0, TimeSpan.Zero);

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-clock-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData(5000, 5000)]
    [InlineData(5000, 20_000)]
    [InlineData(200, 200)]
    public async Task Clock_ahead_at_boot_never_gives_the_bytes_of_one_key_to_another(int firstLength, int secondLength)
    {
        var clock = new SettableClock(s_now);
        await using (var kv = await OpenAsync(clock))
        {
            await kv.PutAsync("first", Bytes('1', firstLength), new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(10) });
        }

        // A day ahead when it is opened again: the first one is gone, its file is, and at the next opening nobody has seen it.
        clock.Move(TimeSpan.FromDays(1));
        await using (var kv = await OpenAsync(clock))
        {
            (await kv.GetTextAsync("first")).Should().BeNull();
        }

        await using (var kv = await OpenAsync(clock))
        {
            (await kv.GetTextAsync("first")).Should().BeNull();
            await kv.PutAsync("second", Bytes('2', secondLength));
        }

        // And corrected: the first one has ten minutes again, but nothing that it was.
        clock.Set(s_now);
        await using (var kv = await OpenAsync(clock))
        {
            var first = await kv.GetTextAsync("first");
            (first is null || first == new string('1', firstLength)).Should().BeTrue("it is gone or it is its own, but it begins with {0}", first?[..10]);
            (await kv.GetTextAsync("second")).Should().Be(new string('2', secondLength));
            await kv.DeleteAsync("first");
            await kv.CompactAsync();
        }

        await using (var kv = await OpenAsync(clock))
        {
            (await kv.GetTextAsync("second")).Should().Be(new string('2', secondLength), "deleting one key removes no other");
        }
    }

    [Fact]
    public async Task Any_walk_of_the_clock_keeps_every_value_its_own_and_what_does_not_expire()
    {
        for (var round = 0; round < LongForm.Times(30); round++)
        {
            var random = new Random(LongForm.Seed + round);
            var directory = Path.Combine(_directory, $"{round}");
            var clock = new SettableClock(s_now);
            var newest = new Dictionary<string, (string Value, bool Expires)>(StringComparer.Ordinal);
            for (var boot = 0; boot < 12; boot++)
            {
                clock.Set(random.Next(6) == 0 ? DateTimeOffset.UnixEpoch.AddYears(random.Next(-60, 300)) : s_now.AddHours(random.Next(-72, 72)));
                await using var kv = await OpenAsync(clock, directory);
                for (var i = 0; i < 4; i++)
                {
                    var key = $"key/{random.Next(5)}";
                    var value = $"{key} {boot} {i} " + new string((char)('a' + random.Next(26)), random.Next(3) > 0 ? random.Next(3) == 0 ? random.Next(5000, 9000) : 6000 : random.Next(300));
                    var expires = random.Next(2) == 0;
                    switch (random.Next(8))
                    {
                        case 0:
                            await kv.DeleteAsync(key);
                            newest.Remove(key);
                            continue;
                        case 1:
                            await kv.CompactAsync();
                            continue;
                        case 2:
                            clock.Move(TimeSpan.FromMinutes(random.Next(-300, 300)));
                            continue;
                    }

                    try
                    {
                        await kv.PutAsync(
                            key, value, expires ? new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(random.Next(2, 200)) } : null);
                    }
                    catch (ArgumentException) when (expires)
                    {
                        // A time to live is refused with a reason when no deadline can be computed from the time.
                        continue;
                    }

                    newest[key] = (value, expires);
                }

                foreach (var key in Enumerable.Range(0, 5).Select(i => $"key/{i}"))
                {
                    var value = await kv.GetTextAsync(key);
                    var its = newest.GetValueOrDefault(key);
                    var isRight = value == its.Value || (value is null && its.Expires);
                    isRight.Should().BeTrue(
                        "{0} is the newest that was put or has expired, but it is {1} in place of {2}; {3}, round {4}, boot {5}",
                        key, value?[..Math.Min(20, value.Length)], its, LongForm.Again, round, boot);
                }
            }
        }
    }

    [Theory]
    [InlineData(1900)]
    [InlineData(1969)]
    [InlineData(2107)]
    [InlineData(9999)]
    public async Task Clock_in_another_century_opens_and_keeps_what_does_not_expire(int year)
    {
        var clock = new SettableClock(new DateTimeOffset(year, 12, 31, 23, 59, 59, TimeSpan.Zero));
        await using (var kv = await OpenAsync(clock))
        {
            await kv.PutAsync("small", "small");
            await kv.PutAsync("large", Bytes('L', 9000));
        }

        clock.Set(s_now);
        await using (var kv = await OpenAsync(clock))
        {
            (await kv.GetTextAsync("small")).Should().Be("small");
            (await kv.GetTextAsync("large")).Should().Be(new string('L', 9000));
            await kv.PutAsync("later", "later", new KvPutOptions { ExpirationTtl = TimeSpan.FromMinutes(5) });
            (await kv.GetTextAsync("later")).Should().Be("later");
        }
    }

    private static byte[] Bytes(char letter, int count) => Encoding.ASCII.GetBytes(new string(letter, count));

    private Task<KvNamespace> OpenAsync(SettableClock clock, string? directory = null) =>
        Workload.OpenAsync(directory ?? Path.Combine(_directory, "kv"), time: clock);
}
