using System.Text;

namespace KvStore.Contract;

/// <summary>Metadata, and when entries are said to expire. What happens then takes a clock.</summary>
public abstract partial class KvNamespaceContract
{
    [Theory]
    [InlineData("0")]
    [InlineData("false")]
    [InlineData("\"\"")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("true")]
    [InlineData("-1.5")]
    [InlineData("12345678901234567890")]
    [InlineData("\"text\"")]
    [InlineData("[null,[0]]")]
    [InlineData("""{"a":{"b":[1,"é",null]},"":0}""")]
    public async Task Metadata_may_be_any_JSON_and_is_there_in_every_read(string json)
    {
        await Kv.PutAsync("k", "v", new KvPutOptions { Metadata = KvMetadata.FromJson(json) });

        (await Kv.GetAsync("k")).Metadata.ToString().Should().Be(json);
        (await Kv.GetAsync("k")).Metadata.IsNull.Should().BeFalse();
        (await Kv.GetManyAsync(["k"]))["k"].Metadata.ToString().Should().Be(json);
        (await Kv.ListAsync()).Keys.Should().ContainSingle().Which.Metadata.ToString().Should().Be(json);
        (await Kv.GetTextAsync("k")).Should().Be("v");
    }

    [Fact]
    public async Task A_JSON_null_is_no_metadata()
    {
        await Kv.PutAsync("k", "v", new KvPutOptions { Metadata = KvMetadata.FromJson(" null ") });

        (await Kv.GetAsync("k")).Metadata.IsNull.Should().BeTrue();
        (await Kv.ListAsync()).Keys.Should().ContainSingle().Which.Metadata.IsNull.Should().BeTrue();
    }

    [Fact]
    public async Task Metadata_is_kept_in_the_form_that_stringify_writes()
    {
        await Kv.PutAsync("k", "v", new KvPutOptions
        {
            Metadata = KvMetadata.FromJson(
                """ { "a" : [ 1 , 2.50 ] , "\u00e9\ud83d\ude00" : "\/\u0041\u0008\u001F\"\\ \u2028" } """),
        });

        (await Kv.GetAsync("k")).Metadata.ToString().Should().Be("{\"a\":[1,2.50],\"é\U0001F600\":\"/A\\b\\u001f\\\"\\\\ \u2028\"}");
    }

    [Fact]
    public async Task Metadata_may_have_1024_bytes_in_that_form_and_no_byte_more()
    {
        var largest = KvMetadata.FromJson($"\"{string.Concat(Enumerable.Repeat("\\ud83d\\ude00", 255))}mm\"");
        await Kv.PutAsync("k", "v", new KvPutOptions { Metadata = largest });
        (await Kv.GetAsync("k")).Metadata.Utf8Json.Length.Should().Be(1024);

        await ShouldRefuse(
            () => Kv.PutAsync("k", "new", new KvPutOptions { Metadata = KvMetadata.FromJson($"\"{new string('m', 1023)}\"") }).AsTask(),
            413,
            "KV PUT failed: 413 Metadata length of 1025 exceeds limit of 1024.");
        await ShouldRefuse(
            () => Kv.PutAsync("new", "v", new KvPutOptions { Metadata = KvMetadata.FromJson($"\"{new string('é', 512)}\"") }).AsTask(),
            413,
            "KV PUT failed: 413 Metadata length of 1026 exceeds limit of 1024.");

        (await Kv.GetTextAsync("k")).Should().Be("v");
        (await Names()).Should().Equal("k");
    }

    [Fact]
    public async Task Metadata_may_be_nested_as_deeply_as_its_bytes_allow()
    {
        var deep = new string('[', 512) + new string(']', 512);
        await Kv.PutAsync("k", "v", new KvPutOptions { Metadata = KvMetadata.FromJson(deep) });

        (await Kv.GetAsync("k")).Metadata.ToString().Should().Be(deep);
        (await Kv.ListAsync()).Keys.Should().ContainSingle().Which.Metadata.ToString().Should().Be(deep);
    }

    [Fact]
    public async Task Metadata_made_of_an_object_is_read_as_one()
    {
        await Kv.PutAsync("k", "v", new KvPutOptions { Metadata = KvMetadata.From(new Flag("é", true)) });

        var metadata = (await Kv.GetAsync("k")).Metadata;

        metadata.As<Flag>().Should().Be(new Flag("é", true));
        metadata.As(ContractJson.Default.Flag).Should().Be(new Flag("é", true));
        Encoding.UTF8.GetString(metadata.Utf8Json.Span).Should().Be("""{"name":"é","isOn":true}""");
    }

    [Fact]
    public async Task Time_to_live_is_returned_as_a_whole_second_of_expiration()
    {
        var earliest = Time.GetUtcNow().ToUnixTimeSeconds() + 3600;
        await Kv.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(3600.9) });
        var latest = Time.GetUtcNow().ToUnixTimeSeconds() + 3600;

        var expiration = (await ExpirationOf("k"))!.Value;

        // A coarse clock may be a little behind.
        expiration.ToUnixTimeMilliseconds().Should().BeInRange((earliest - 1) * 1000, latest * 1000);
        (expiration.ToUnixTimeMilliseconds() % 1000).Should().Be(0);
        (await Kv.GetManyAsync(["k"]))["k"].Expiration.Should().Be(TellsExpirationOfAValue ? expiration : null);
        (await Kv.ListAsync()).Keys.Should().ContainSingle().Which.Expiration.Should().Be(expiration);
    }

    [Fact]
    public async Task An_expiration_is_kept_to_the_second()
    {
        var at = DateTimeOffset.FromUnixTimeSeconds(Time.GetUtcNow().ToUnixTimeSeconds() + 100_000);
        await Kv.PutAsync("k", "v", new KvPutOptions { Expiration = at.AddMilliseconds(999) });
        await Kv.PutAsync("last", "v", new KvPutOptions { Expiration = DateTimeOffset.FromUnixTimeSeconds(int.MaxValue) });

        (await ExpirationOf("k")).Should().Be(at);
        (await Kv.ListAsync()).Keys.Select(key => key.Expiration).Should().Equal(at, DateTimeOffset.FromUnixTimeSeconds(int.MaxValue));
    }

    [Fact]
    public async Task A_time_to_live_wins_over_an_expiration_which_is_then_not_even_looked_at()
    {
        await Kv.PutAsync("k", "v", new KvPutOptions
        {
            ExpirationTtl = TimeSpan.FromHours(2),
            Expiration = Time.GetUtcNow().AddDays(-1),
        });

        (await ExpirationOf("k")).Should().BeCloseTo(Time.GetUtcNow().AddHours(2), TimeSpan.FromMinutes(10));
    }

    [Theory]
    [InlineData(0, 0, "Please specify integer greater than 0.")]
    [InlineData(0.9, 0, "Please specify integer greater than 0.")]
    [InlineData(-5, -5, "Please specify integer greater than 0.")]
    [InlineData(1, 1, "Expiration TTL must be at least 60.")]
    [InlineData(59.9, 59, "Expiration TTL must be at least 60.")]
    public async Task A_time_to_live_under_60_seconds_is_refused(double seconds, int shown, string rule)
    {
        await Kv.PutAsync("k", "old");

        await ShouldRefuse(
            () => Kv.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(seconds) }).AsTask(), 400,
            FormattableString.Invariant($"KV PUT failed: 400 Invalid expiration_ttl of {shown}. {rule}"));

        (await Kv.GetTextAsync("k")).Should().Be("old");
    }

    [Fact]
    public async Task An_expiration_in_the_past_or_too_near_is_refused()
    {
        await Kv.PutAsync("k", "old");
        var past = Time.GetUtcNow().ToUnixTimeSeconds() - 10;
        var near = Time.GetUtcNow().ToUnixTimeSeconds() + 40;

        await ShouldRefuse(
            () => Kv.PutAsync("k", "v", new KvPutOptions { Expiration = DateTimeOffset.FromUnixTimeSeconds(past) }).AsTask(), 400,
            FormattableString.Invariant($"KV PUT failed: 400 Invalid expiration of {past}. Please specify integer greater than the current number of seconds since the UNIX epoch."));
        await ShouldRefuse(
            () => Kv.PutAsync("k", "v", new KvPutOptions { Expiration = DateTimeOffset.FromUnixTimeSeconds(near) }).AsTask(), 400,
            FormattableString.Invariant($"KV PUT failed: 400 Invalid expiration of {near}. Expiration times must be at least 60 seconds in the future."));

        (await Kv.GetTextAsync("k")).Should().Be("old");
    }

    [Fact]
    public async Task Expiration_beyond_2106_is_refused_with_the_option_the_seconds_and_the_limit()
    {
        (KvPutOptions Options, string Message)[] wrong =
        [
            (new() { ExpirationTtl = TimeSpan.FromSeconds(4_294_967_296) }, "Invalid expiration_ttl of 4294967296."),
            (new() { ExpirationTtl = TimeSpan.MaxValue }, "Invalid expiration_ttl of 922337203685."),
            (new() { Expiration = DateTimeOffset.FromUnixTimeSeconds(4_294_967_296) }, "Invalid expiration of 4294967296."),
            (new() { Expiration = DateTimeOffset.MaxValue }, "Invalid expiration of 253402300799."),
        ];
        foreach (var (options, message) in wrong)
        {
            var refusal = (await Kv.Invoking(kv => kv.PutAsync("k", "v", options).AsTask()).Should().ThrowAsync<Exception>()).Which;
            refusal.Message.Should().Contain($"{message} The latest expiration that can be stored is 4294967295 (2106-02-07T06:28:15Z).");

            // A protocol has only the status for both.
            refusal.Should().Match(e => e is ArgumentException || (e is KvException && ((KvException)e).StatusCode == 400));
        }

        await ShouldRefuse(
            () => Kv.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.MinValue }).AsTask(), 400,
            "KV PUT failed: 400 Invalid expiration_ttl of -922337203685. Please specify integer greater than 0.");
        await ShouldRefuse(
            () => Kv.PutAsync("k", "v", new KvPutOptions { Expiration = DateTimeOffset.MinValue }).AsTask(), 400,
            "KV PUT failed: 400 Invalid expiration of -62135596800. Please specify integer greater than the current number of seconds since the UNIX epoch.");
        (await Names()).Should().BeEmpty();
    }
}
