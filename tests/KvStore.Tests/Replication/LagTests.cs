namespace KvStore.Tests.Replication;

public sealed class LagTests
{
    private const int Draws = 20_000;

    [Fact]
    public void No_lag_and_a_fixed_lag_of_zero_are_zero()
    {
        KvLag.None.GetLag("a", "b", 1).Should().Be(TimeSpan.Zero);
        KvLag.Fixed(TimeSpan.Zero).GetLag("a", "b", 1).Should().Be(TimeSpan.Zero);
    }

    [Fact]
    public void A_uniform_lag_is_spread_over_its_range()
    {
        var lags = Draw(KvLag.Uniform(Seconds(1), Seconds(60), seed: 42));

        lags[0].Should().BeGreaterThanOrEqualTo(1);
        lags[^1].Should().BeLessThanOrEqualTo(60);
        foreach (var share in new[] { 0.1, 0.5, 0.9 })
        {
            lags[(int)(share * Draws)].Should().BeApproximately(1 + (59 * share), 1);
        }
    }

    [Fact]
    public void Percentiles_are_those_that_were_given()
    {
        var lags = Draw(KvLag.Instant(seed: 7));

        lags[Draws / 2].Should().BeApproximately(0.107, 0.003);
        lags[Draws * 95 / 100].Should().BeApproximately(0.181, 0.005);
        lags[Draws * 99 / 100].Should().BeApproximately(0.256, 0.008);
        lags[0].Should().BeGreaterThan(0);
        lags[^1].Should().BeLessThan(0.332);
    }

    [Fact]
    public void The_same_seed_gives_the_same_lags_in_every_process()
    {
        var lag = KvLag.Uniform(TimeSpan.Zero, Seconds(100), seed: 42);

        new[] { 1, 2, 3 }.Select(mutation => lag.GetLag("jnb", "lhr", mutation).TotalSeconds).Should().Equal(s_lagsOfSeed42);
        KvLag.Uniform(TimeSpan.Zero, Seconds(100), seed: 43).GetLag("jnb", "lhr", 1).TotalSeconds.Should().NotBe(s_lagsOfSeed42[0]);
    }

    [Fact]
    public void Each_pair_of_regions_and_each_direction_draws_its_own()
    {
        var lag = KvLag.Uniform(TimeSpan.Zero, Seconds(100));

        new[] { lag.GetLag("a", "b", 1), lag.GetLag("b", "a", 1), lag.GetLag("a", "c", 1), lag.GetLag("a", "b", 2) }.Should().OnlyHaveUniqueItems();
    }

    [Fact]
    public void A_matrix_has_a_lag_for_each_pair()
    {
        var lag = KvLag.Matrix(["a", "b"], new[,] { { TimeSpan.Zero, Seconds(1) }, { Seconds(2), TimeSpan.Zero } });

        lag.GetLag("a", "b", 1).Should().Be(Seconds(1));
        lag.GetLag("b", "a", 1).Should().Be(Seconds(2));
        var unknown = () => lag.GetLag("a", "c", 1);
        unknown.Should().Throw<ArgumentException>().WithMessage("*\"a\" to \"c\"*");
    }

    [Fact]
    public void Pairs_may_have_models_of_their_own_and_count_in_both_directions()
    {
        var pairs = new Dictionary<(string From, string To), IKvLagModel> { [("a", "b")] = KvLag.Fixed(Seconds(1)) };

        KvLag.Matrix(pairs, KvLag.Fixed(Seconds(9))).GetLag("b", "a", 1).Should().Be(Seconds(1));
        KvLag.Matrix(pairs, KvLag.Fixed(Seconds(9))).GetLag("b", "c", 1).Should().Be(Seconds(9));
    }

    [Fact]
    public void Lags_that_cannot_be_are_refused()
    {
        Action[] acts =
        [
            () => KvLag.Fixed(Seconds(-1)), () => KvLag.Uniform(Seconds(2), Seconds(1)), () => KvLag.Uniform(Seconds(-1), Seconds(1)),
            () => KvLag.Percentiles(Seconds(2), Seconds(1), Seconds(3)), () => KvLag.Percentiles(Seconds(1), Seconds(3), Seconds(2)),
            () => KvLag.Matrix(["a", "b"], new TimeSpan[1, 2]),
        ];
        foreach (var act in acts)
        {
            act.Should().Throw<ArgumentException>();
        }
    }

    [Fact]
    public async Task A_lag_without_end_never_arrives_by_itself_and_does_not_overflow()
    {
        using var regions = new Regions(KvLag.Fixed(TimeSpan.MaxValue));
        await regions.Jnb.PutAsync("k", "v");

        regions.Advance(1_000_000);

        (await regions.See("k")).Should().Be("v - -");
        regions.Replication.PendingCount.Should().Be(2);
    }

    private static readonly double[] s_lagsOfSeed42 = [90.780498, 47.7130167, 24.3581359];

    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);

    private static double[] Draw(IKvLagModel lag) =>
        [.. Enumerable.Range(1, Draws).Select(mutation => lag.GetLag("jnb", "lhr", mutation).TotalSeconds).Order()];
}
