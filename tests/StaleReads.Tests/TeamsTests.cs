using KvStore;
using Microsoft.Extensions.Time.Testing;

namespace StaleReads.Tests;

/// <summary>
/// How a team tests its own code against staleness: the same steps on a namespace in one place, where the bug does not show,
/// and in two regions, where it does; and then the fix in both. The clock is simulated, so a lag of half a minute takes no time.
/// </summary>
public sealed class TeamsTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task First_version_works_in_one_region()
    {
        await using var kv = KvNamespace.Create("TEAMS", new KvNamespaceOptions { TimeProvider = _time });
        var teams = new TeamsAsLists(kv);

        await teams.JoinAsync("rockets", "ada");
        _time.Advance(TimeSpan.FromSeconds(5));
        await teams.JoinAsync("rockets", "bob");

        (await teams.MembersAsync("rockets")).Should().Equal("ada", "bob");
    }

    [Fact]
    public async Task First_version_loses_a_member_for_good_in_two_regions()
    {
        await using var kv = InTwoRegions();
        await new TeamsAsLists(kv.InRegion("jnb")).JoinAsync("rockets", "ada");
        _time.Advance(TimeSpan.FromSeconds(5));
        await new TeamsAsLists(kv.InRegion("lhr")).JoinAsync("rockets", "bob");

        // Long after everything has arrived everywhere.
        _time.Advance(TimeSpan.FromMinutes(10));
        kv.Replication!.IsConverged.Should().BeTrue();

        // The bug: nobody sees Ada any more, and nothing has failed.
        (await new TeamsAsLists(kv.InRegion("jnb")).MembersAsync("rockets")).Should().Equal("bob");
        (await new TeamsAsLists(kv.InRegion("lhr")).MembersAsync("rockets")).Should().Equal("bob");
    }

    [Fact]
    public async Task First_version_loses_a_member_with_the_caches_of_the_classic_service()
    {
        await using var kv = Rehearsing(KvProfile.WorkersKv);
        await new TeamsAsLists(kv.InRegion("lhr")).MembersAsync("rockets");
        await new TeamsAsLists(kv.InRegion("jnb")).JoinAsync("rockets", "ada");
        await new TeamsAsLists(kv.InRegion("lhr")).JoinAsync("rockets", "bob");

        _time.Advance(TimeSpan.FromMinutes(10));

        (await new TeamsAsLists(kv.InRegion("jnb")).MembersAsync("rockets")).Should().Equal("bob");
    }

    [Fact]
    public async Task Second_version_with_a_key_for_each_member_loses_nobody()
    {
        await using var kv = InTwoRegions();
        await new TeamsOfMembers(kv.InRegion("jnb")).JoinAsync("rockets", "ada");
        _time.Advance(TimeSpan.FromSeconds(5));
        await new TeamsOfMembers(kv.InRegion("lhr")).JoinAsync("rockets", "bob");

        // At first each region sees its own: late, but not lost.
        (await new TeamsOfMembers(kv.InRegion("jnb")).MembersAsync("rockets")).Should().Equal("ada");
        (await new TeamsOfMembers(kv.InRegion("lhr")).MembersAsync("rockets")).Should().Equal("bob");

        _time.Advance(TimeSpan.FromMinutes(10));
        (await new TeamsOfMembers(kv.InRegion("jnb")).MembersAsync("rockets")).Should().Equal("ada", "bob");
        (await new TeamsOfMembers(kv.InRegion("lhr")).MembersAsync("rockets")).Should().Equal("ada", "bob");
    }

    [Theory]
    [InlineData("lhr")]
    [InlineData("jnb")]
    public async Task Second_version_keeps_both_members_while_a_region_is_partitioned(string cutOff)
    {
        await using var kv = InTwoRegions();
        kv.Replication!.Partition(cutOff);
        await new TeamsOfMembers(kv.InRegion("jnb")).JoinAsync("rockets", "ada");
        await new TeamsOfMembers(kv.InRegion("lhr")).JoinAsync("rockets", "bob");
        _time.Advance(TimeSpan.FromHours(1));

        kv.Replication.Heal(cutOff);
        _time.Advance(TimeSpan.FromMinutes(10));

        foreach (var region in kv.Replication.Regions)
        {
            (await new TeamsOfMembers(kv.InRegion(region)).MembersAsync("rockets")).Should().Equal("ada", "bob");
        }
    }

    [Fact]
    public async Task Second_version_keeps_both_members_with_the_caches_of_the_classic_service()
    {
        await using var kv = Rehearsing(KvProfile.WorkersKv);
        await new TeamsOfMembers(kv.InRegion("lhr")).MembersAsync("rockets");
        await new TeamsOfMembers(kv.InRegion("jnb")).JoinAsync("rockets", "ada");
        await new TeamsOfMembers(kv.InRegion("lhr")).JoinAsync("rockets", "bob");

        _time.Advance(TimeSpan.FromMinutes(10));

        foreach (var region in kv.Replication!.Regions)
        {
            (await new TeamsOfMembers(kv.InRegion(region)).MembersAsync("rockets")).Should().Equal("ada", "bob");
        }
    }

    private KvNamespace InTwoRegions() => KvNamespace.Create("TEAMS", new KvNamespaceOptions
    {
        TimeProvider = _time,
        Replication = new KvReplicationOptions
        {
            Regions = ["jnb", "lhr"],
            Lag = KvLag.Uniform(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(60), seed: 42),
        },
    });

    private KvNamespace Rehearsing(KvProfile profile) => KvNamespace.Create("TEAMS", profile.Apply(new KvNamespaceOptions
    {
        TimeProvider = _time,
        Replication = new KvReplicationOptions { Regions = ["jnb", "lhr"] },
    }));
}
