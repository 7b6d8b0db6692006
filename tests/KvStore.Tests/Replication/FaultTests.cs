namespace KvStore.Tests.Replication;

public sealed class FaultTests
{
    [Fact]
    public async Task Partitioned_region_serves_reads_and_accepts_writes_delivered_after_healing()
    {
        using var regions = new Regions(Regions.Fixed(10));
        await regions.Jnb.PutAsync("k", "before");
        regions.Advance(10);

        regions.Replication.Partition("jnb");
        await regions.Jnb.PutAsync("k", "inside");
        await regions.Lhr.PutAsync("outside", "v");
        regions.Advance(1000);
        (await regions.See("k")).Should().Be("inside before before");
        (await regions.See("outside")).Should().Be("- v v");
        regions.Replication.PendingCount.Should().Be(3);

        regions.Replication.Heal("jnb");
        (await regions.See("k")).Should().Be("inside before before");
        regions.Advance(10);
        (await regions.See("k")).Should().Be("inside inside inside");
        (await regions.See("outside")).Should().Be("v v v");
        regions.Replication.IsConverged.Should().BeTrue();
    }

    [Fact]
    public async Task Write_pending_when_a_region_is_cut_off_is_sent_anew_after_healing()
    {
        using var regions = new Regions(Regions.Fixed(10));
        await regions.Jnb.PutAsync("k", "v");
        regions.Advance(9);
        regions.Replication.Partition("lhr");
        regions.Advance(5);
        (await regions.See("k")).Should().Be("v - v");

        regions.Replication.Heal("lhr");

        regions.Advance(9.999);
        (await regions.See("k")).Should().Be("v - v");
        regions.Advance(0.001);
        (await regions.See("k")).Should().Be("v v v");
    }

    [Fact]
    public async Task Write_delivered_before_a_partition_stays_visible()
    {
        using var regions = new Regions(Regions.Fixed(10));
        await regions.Jnb.PutAsync("k", "v");
        regions.Advance(10);

        regions.Replication.Partition("lhr");

        (await regions.See("k")).Should().Be("v v v");
    }

    [Fact]
    public async Task After_healing_the_newest_write_wins_everywhere()
    {
        using var regions = new Regions(Regions.Fixed(10));
        regions.Replication.Partition("jnb");
        await regions.Jnb.PutAsync("k", "older");
        regions.Advance(1);
        await regions.Lhr.PutAsync("k", "newer");
        regions.Advance(100);
        (await regions.See("k")).Should().Be("older newer newer");

        regions.Replication.Heal("jnb");
        regions.Advance(10);

        (await regions.See("k")).Should().Be("newer newer newer");
        regions.Replication.IsConverged.Should().BeTrue();
    }

    [Fact]
    public async Task Partition_holds_back_writes_although_there_is_no_lag()
    {
        using var regions = new Regions(KvLag.None);
        regions.Replication.Partition("sfo");
        await regions.Jnb.PutAsync("k", "v");
        (await regions.See("k")).Should().Be("v v -");

        regions.Replication.Heal("sfo");

        (await regions.See("k")).Should().Be("v v v");
    }

    [Fact]
    public async Task Partitioned_regions_receive_nothing_from_each_other_until_both_are_healed()
    {
        using var regions = new Regions(KvLag.None);
        regions.Replication.Partition("jnb");
        regions.Replication.Partition("lhr");
        await regions.Jnb.PutAsync("k", "v");

        regions.Replication.Heal("jnb");
        (await regions.See("k")).Should().Be("v - v");
        regions.Replication.Heal("lhr");
        (await regions.See("k")).Should().Be("v v v");
    }

    [Fact]
    public async Task Without_skew_the_later_of_two_writes_wins()
    {
        using var regions = new Regions(Regions.Fixed(10));
        await regions.Jnb.PutAsync("k", "earlier");
        await regions.Lhr.PutAsync("k", "later");

        regions.Advance(10);

        (await regions.See("k")).Should().Be("later later later");
    }

    [Fact]
    public async Task With_a_fast_clock_the_earlier_write_wins_and_the_later_one_is_lost_everywhere()
    {
        using var regions = new Regions(Regions.Fixed(10));
        regions.Replication.SetClockSkew("jnb", TimeSpan.FromSeconds(5));
        await regions.Jnb.PutAsync("k", "earlier");
        regions.Advance(2);
        await regions.Lhr.PutAsync("k", "later");
        (await regions.See("k")).Should().Be("earlier later -");

        regions.Advance(8);
        (await regions.See("k")).Should().Be("earlier earlier earlier");
        regions.Advance(10);
        (await regions.See("k")).Should().Be("earlier earlier earlier");
        regions.Replication.IsConverged.Should().BeTrue();
    }

    [Fact]
    public async Task A_delete_can_lose_against_a_fast_clock_as_well()
    {
        using var regions = new Regions(Regions.Fixed(10));
        regions.Replication.SetClockSkew("jnb", TimeSpan.FromSeconds(5));
        await regions.Lhr.PutAsync("k", "old");
        regions.Advance(10);
        await regions.Jnb.PutAsync("k", "kept");
        await regions.Lhr.DeleteAsync("k");
        (await regions.See("k")).Should().Be("kept - old");

        regions.Advance(10);

        (await regions.See("k")).Should().Be("kept kept kept");
    }

    [Fact]
    public async Task A_write_that_will_lose_is_seen_where_the_winner_has_not_arrived()
    {
        using var regions = new Regions(Regions.Lags(("jnb", "lhr", 10), ("jnb", "sfo", 30), ("lhr", "sfo", 5)));
        regions.Replication.SetClockSkew("jnb", TimeSpan.FromSeconds(100));
        await regions.Jnb.PutAsync("k", "winner");
        await regions.Lhr.PutAsync("k", "loser");

        regions.Advance(5);
        (await regions.See("k")).Should().Be("winner loser loser");
        regions.Advance(5);
        (await regions.See("k")).Should().Be("winner winner loser");
        regions.Advance(20);
        (await regions.See("k")).Should().Be("winner winner winner");
    }

    [Fact]
    public async Task Write_wins_over_all_its_region_has_received_whatever_the_clocks_say()
    {
        using var regions = new Regions(Regions.Lags(("jnb", "lhr", 1), ("jnb", "sfo", 60), ("lhr", "sfo", 60)));
        regions.Replication.SetClockSkew("jnb", TimeSpan.FromHours(1));
        regions.Replication.SetClockSkew("lhr", TimeSpan.FromHours(-1));
        await regions.Jnb.PutAsync("k", "heard");
        regions.Advance(1);

        await regions.Lhr.PutAsync("k", "answer");

        (await regions.See("k")).Should().Be("heard answer -");
        regions.Advance(60);
        (await regions.See("k")).Should().Be("answer answer answer");
    }

    [Fact]
    public void A_skew_is_kept_and_can_be_given_from_the_start()
    {
        using var regions = new Regions(new KvReplicationOptions
        {
            Regions = ["jnb", "lhr"],
            ClockSkew = new Dictionary<string, TimeSpan> { ["lhr"] = TimeSpan.FromSeconds(-3) },
        });

        regions.Replication.GetClockSkew("lhr").Should().Be(TimeSpan.FromSeconds(-3));
        regions.Replication.GetClockSkew("jnb").Should().Be(TimeSpan.Zero);
    }

    [Fact]
    public async Task Paused_replication_makes_one_delivery_for_each_step()
    {
        using var regions = new Regions(Regions.Lags(("jnb", "lhr", 5), ("jnb", "sfo", 10)));
        regions.Replication.Pause();
        await regions.Jnb.PutAsync("k", "v");
        regions.Advance(1000);
        (await regions.See("k")).Should().Be("v - -");

        regions.Replication.Step()!.To.Should().Be("lhr");
        (await regions.See("k")).Should().Be("v v -");
        regions.Replication.Step()!.To.Should().Be("sfo");
        (await regions.See("k")).Should().Be("v v v");
        regions.Replication.Step().Should().BeNull();
    }

    [Fact]
    public async Task Step_makes_a_delivery_before_its_time()
    {
        using var regions = new Regions(Regions.Fixed(3600));
        regions.Replication.Pause();
        await regions.Jnb.PutAsync("k", "v");

        regions.Replication.Step();

        (await regions.See("k")).Should().Be("v v -");
    }

    [Fact]
    public async Task Resuming_makes_due_deliveries_at_once_and_the_others_in_their_time()
    {
        using var regions = new Regions(Regions.Lags(("jnb", "lhr", 5), ("jnb", "sfo", 30)));
        regions.Replication.Pause();
        await regions.Jnb.PutAsync("k", "v");
        regions.Advance(10);

        regions.Replication.Resume();

        (await regions.See("k")).Should().Be("v v -");
        regions.Advance(20);
        (await regions.See("k")).Should().Be("v v v");
        regions.Replication.IsConverged.Should().BeTrue();
    }

    [Fact]
    public void Stepping_while_replication_runs_is_an_error()
    {
        using var regions = new Regions();

        var act = () => regions.Replication.Step();

        act.Should().Throw<InvalidOperationException>().WithMessage("*Pause*");
    }

    [Fact]
    public async Task A_lag_model_that_fails_fails_the_write_and_changes_nothing()
    {
        using var regions = new Regions(new Backwards());

        var put = () => regions.Jnb.PutAsync("k", "v").AsTask();
        var delete = () => regions.Jnb.DeleteAsync("k").AsTask();

        await put.Should().ThrowAsync<InvalidOperationException>().WithMessage("*\"jnb\" to \"lhr\"*zero or more*");
        await delete.Should().ThrowAsync<InvalidOperationException>();
        (await regions.See("k")).Should().Be("- - -");
    }

    private sealed class Backwards : IKvLagModel
    {
        public TimeSpan GetLag(string origin, string destination, long mutation) => TimeSpan.FromSeconds(-1);
    }
}
