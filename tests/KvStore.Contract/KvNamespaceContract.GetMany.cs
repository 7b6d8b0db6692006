using System.Text.Json;

namespace KvStore.Contract;

/// <summary>Reading many keys at once.</summary>
public abstract partial class KvNamespaceContract
{
    [Fact]
    public async Task Get_many_returns_each_key_once_in_the_requested_order_and_missing_as_missing()
    {
        await Kv.PutAsync("a", "1", new KvPutOptions { Metadata = KvMetadata.FromJson("false") });
        await Kv.PutAsync("10", "ten");
        await Kv.PutAsync("__proto__", "p");

        var values = await Kv.GetManyAsync(["z", "a", "10", "a", "__proto__", "9"]);

        values.Keys.Should().Equal("z", "a", "10", "__proto__", "9");
        values["a"].GetText().Should().Be("1");
        values["a"].Metadata.ToString().Should().Be("false");
        values["10"].GetText().Should().Be("ten");
        values["__proto__"].GetText().Should().Be("p");
        values["z"].Exists.Should().BeFalse();
        values["9"].Exists.Should().BeFalse();
    }

    [Fact]
    public async Task Many_keys_are_read_as_text_or_JSON()
    {
        await Kv.PutAsync("on", """{"name":"x","isOn":true}""");
        await Kv.PutAsync("null", "null");

        (await Kv.GetTextAsync(["on", "missing"])).Should().Equal(
            new Dictionary<string, string?> { ["on"] = """{"name":"x","isOn":true}""", ["missing"] = null });
        var expected = new Dictionary<string, Flag?> { ["on"] = new Flag("x", true), ["missing"] = null, ["null"] = null };
        (await Kv.GetJsonAsync<Flag>(["on", "missing", "null"])).Should().Equal(expected);
        (await Kv.GetJsonAsync(["on", "missing", "null"], ContractJson.Default.Flag)).Should().Equal(expected);
    }

    [Fact]
    public async Task Get_many_as_JSON_fails_when_a_single_value_is_no_JSON()
    {
        await Kv.PutAsync("good", "1");
        await Kv.PutAsync("bad", "not json");

        await ShouldRefuse(
            () => Kv.GetJsonAsync<JsonElement>(["good", "bad"]).AsTask(), 400,
            "KV GET_BULK failed: 400 At least one of the requested keys corresponds to a non-json value");
    }

    [Fact]
    public async Task A_byte_order_mark_is_dropped_when_many_keys_are_read()
    {
        await Kv.PutAsync("k", "\uFEFF1");

        (await Kv.GetTextAsync(["k"]))["k"].Should().Be("1");
        (await Kv.GetJsonAsync<int>(["k"]))["k"].Should().Be(1);
    }

    [Fact]
    public async Task As_many_as_100_keys_can_be_read_at_once()
    {
        var keys = Enumerable.Range(0, 100).Select(i => $"key {i}").ToArray();
        await PutAll(keys);

        (await Kv.GetTextAsync(keys)).Should().Equal(keys.ToDictionary(key => key, string? (key) => key));
    }

    [Fact]
    public async Task No_key_and_more_than_100_are_refused_and_the_same_key_counts_each_time()
    {
        const string Maximum = "KV GET_BULK failed: 400 You can request a maximum of 100 keys";
        await ShouldRefuse(() => Kv.GetManyAsync([]).AsTask(), 400, "KV GET_BULK failed: 400 You must request a minimum of 1 key");
        await ShouldRefuse(() => Kv.GetManyAsync([.. Enumerable.Range(0, 101).Select(i => $"{i}")]).AsTask(), 400, Maximum);
        await ShouldRefuse(() => Kv.GetManyAsync([.. Enumerable.Repeat("k", 101)]).AsTask(), 400, Maximum);
    }

    [Fact]
    public async Task A_wrong_key_among_many_is_refused()
    {
        await ShouldRefuse(() => Kv.GetManyAsync(["a", ""]).AsTask(), 400, "KV GET_BULK failed: 400 Key names must not be empty");
        await ShouldRefuse(
            () => Kv.GetManyAsync(["."]).AsTask(), 400,
            "KV GET_BULK failed: 400 Illegal key name \".\". Please use a different name.");
        await ShouldRefuse(
            () => Kv.GetManyAsync(["a", ".."]).AsTask(), 400,
            "KV GET_BULK failed: 400 Illegal key name \"..\". Please use a different name.");
        await ShouldRefuse(
            () => Kv.GetManyAsync(["a", new string('k', 513)]).AsTask(), 414,
            "KV GET_BULK failed: 414 UTF-8 encoded length of 513 exceeds key length limit of 512.");
        await Kv.Invoking(kv => kv.GetManyAsync(["a", null!]).AsTask()).Should().ThrowAsync<ArgumentNullException>();
        await Kv.Invoking(kv => kv.GetManyAsync(null!).AsTask()).Should().ThrowAsync<ArgumentNullException>();
    }

    [Fact]
    public async Task An_unpaired_surrogate_among_many_is_a_key_that_is_missing()
    {
        await Kv.PutAsync("a", "1");
        await Kv.PutAsync("a\uFFFDb", "what it must not be taken for");

        var values = await Kv.GetManyAsync(["a", Unpaired]);

        values["a"].GetText().Should().Be("1");
        values.Values.Last().Exists.Should().BeFalse();
    }

    [Fact]
    public async Task Many_values_may_take_25_MiB_together_and_no_byte_more()
    {
        await Kv.PutAsync("half", new byte[13_107_200]);
        await Kv.PutAsync("other half", new byte[13_107_200]);
        await Kv.PutAsync("byte", new byte[1]);

        (await Kv.GetManyAsync(["half", "other half"])).Values.Sum(value => value.Length).Should().Be(26_214_400);
        await ShouldRefuse(
            () => Kv.GetManyAsync(["half", "byte", "other half"]).AsTask(), 413,
            "KV GET_BULK failed: 413 Total size of request exceeds the limit of 25MB");
        await ShouldRefuse(
            () => Kv.GetManyAsync(["half", "byte", "half"]).AsTask(), 413,
            "KV GET_BULK failed: 413 Total size of request exceeds the limit of 25MB");
    }

    [Fact]
    public async Task CacheTtl_of_many_keys_must_be_30_seconds_at_least()
    {
        if (!TakesCacheTtl)
        {
            await Kv.Invoking(kv => kv.GetManyAsync(["k"], new KvGetOptions { CacheTtl = TimeSpan.FromSeconds(30) }).AsTask()).Should().ThrowAsync<NotSupportedException>();
            return;
        }

        (await Kv.GetManyAsync(["k"], new KvGetOptions { CacheTtl = TimeSpan.FromSeconds(30) })).Should().ContainKey("k");
        await ShouldRefuse(
            () => Kv.GetManyAsync(["k"], new KvGetOptions { CacheTtl = TimeSpan.FromSeconds(29) }).AsTask(), 400,
            "KV GET_BULK failed: 400 Invalid cache_ttl of 29. Cache TTL must be at least 30.");
        await Kv.Invoking(kv => kv.GetManyAsync(["k"], new KvGetOptions { CacheTtl = TimeSpan.FromSeconds(2_147_483_648) }).AsTask())
            .Should().ThrowAsync<ArgumentException>().WithMessage(WrongSeconds);
    }
}
