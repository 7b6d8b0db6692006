namespace KvStore.Tests.Replication;

/// <summary>What may happen to a namespace in several regions.</summary>
internal abstract record ScheduledOperation
{
    public sealed record Put(int Region, string Key, string Value, int? TtlSeconds) : ScheduledOperation;

    public sealed record Delete(int Region, string Key) : ScheduledOperation;

    public sealed record Get(int Region, string Key) : ScheduledOperation;

    public sealed record List(int Region, int Limit) : ScheduledOperation;

    public sealed record Advance(int Milliseconds) : ScheduledOperation;

    public sealed record Partition(int Region) : ScheduledOperation;

    public sealed record Heal(int Region) : ScheduledOperation;

    public sealed record Skew(int Region, int Seconds) : ScheduledOperation;

    public sealed record Pause : ScheduledOperation;

    public sealed record Resume : ScheduledOperation;

    public sealed record Step : ScheduledOperation;

    /// <summary>A random schedule. Each put has another value, so that a read shows which put it saw.</summary>
    public static ScheduledOperation[] Schedule(int seed, int length, int regions, bool withSkew)
    {
        var random = new Random(seed);
        var schedule = new ScheduledOperation[length];
        for (var i = 0; i < length; i++)
        {
            var region = random.Next(regions);
            var key = $"k{random.Next(5)}";
            schedule[i] = random.Next(100) switch
            {
                < 30 => new Put(region, key, $"v{i}", random.Next(4) == 0 ? random.Next(1, 40) : null),
                < 38 => new Delete(region, key),
                < 60 => new Get(region, key),
                < 66 => new List(region, random.Next(1, 7)),
                < 84 => new Advance(random.Next(3) == 0 ? random.Next(20_000) : random.Next(2_000)),
                < 88 => new Partition(region),
                < 93 => new Heal(region),
                < 95 when withSkew => new Skew(region, random.Next(-30, 30)),
                < 96 => new Pause(),
                < 98 => new Resume(),
                _ => new Step(),
            };
        }

        return schedule;
    }
}
