using KvStore;
using Microsoft.Extensions.Time.Testing;

namespace StaleReads;

/// <summary>Writes a key in the first region now and then, reads it in every region at every step, and draws what each region saw
/// when.</summary>
internal sealed class Scenario(string title, KvProfile profile, string[] regions, TimeSpan step, TimeSpan end, Write[] writes)
{
    private const string Key = "message";

    public async Task DrawAsync(TextWriter output)
    {
        var timeline = new Timeline(regions, step, writes);
        var time = new FakeTimeProvider();
        var options = profile.Apply(new KvNamespaceOptions
        {
            TimeProvider = time,
            Replication = new KvReplicationOptions { Regions = regions },
        });
        await using var kv = KvNamespace.Create("MESSAGES", options);

        var next = 0;
        for (var now = TimeSpan.Zero; now < end; now += step)
        {
            while (next < writes.Length && writes[next].At <= now)
            {
                await kv.PutAsync(Key, writes[next++].Value);
            }

            foreach (var region in regions)
            {
                timeline.Note(region, now, await kv.InRegion(region).GetTextAsync(Key));
            }

            time.Advance(step);
        }

        timeline.Draw(title, output);
    }
}
