using KvStore;

namespace StaleReads;

/// <summary>Writes in Johannesburg, as London and San Francisco see them, with two services.</summary>
public static class Scenarios
{
    private static readonly string[] s_regions = ["jnb", "lhr", "sfo"];

    /// <summary>Plays and draws the scenarios. The time is simulated, so this takes a moment, and every run has one result.</summary>
    public static async Task DrawAsync(TextWriter output)
    {
        await Classic().DrawAsync(output);
        await Instant().DrawAsync(output);
    }

    private static Scenario Classic() => new(
        "The classic service: every region goes on serving what it has read, for 60 seconds",
        KvProfile.WorkersKv,
        s_regions,
        step: TimeSpan.FromSeconds(2),
        end: TimeSpan.FromSeconds(150),
        [
            new Write("v1", TimeSpan.FromSeconds(10)), new Write("v2", TimeSpan.FromSeconds(30)),
            new Write("v3", TimeSpan.FromSeconds(100)),
        ]);

    private static Scenario Instant() => new(
        "The instant service: every write is pushed to every region",
        KvProfile.Instant,
        s_regions,
        step: TimeSpan.FromMilliseconds(20),
        end: TimeSpan.FromMilliseconds(1500),
        [
            new Write("v1", TimeSpan.FromMilliseconds(100)), new Write("v2", TimeSpan.FromMilliseconds(500)),
            new Write("v3", TimeSpan.FromMilliseconds(900)),
        ]);
}
