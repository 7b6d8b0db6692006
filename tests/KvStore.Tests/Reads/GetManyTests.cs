namespace KvStore.Tests.Reads;

/// <summary>What a read of many keys hands out, as the dictionary that it says it is.</summary>
public sealed class GetManyTests
{
    [Fact]
    public async Task The_result_keeps_the_order_of_the_keys_and_names_each_once()
    {
        await using var kv = await Filled();

        var values = await kv.GetManyAsync(["b", "é", "missing", "a", "b"]);

        values.Count.Should().Be(4);
        values.Keys.Should().Equal("b", "é", "missing", "a");
        values.Values.Select(value => value.GetText()).Should().Equal("2", "3", null, "1");
        values.Select(pair => pair.Key).Should().Equal(values.Keys);
    }

    [Fact]
    public async Task Result_of_get_many_holds_the_requested_keys_and_nothing_else()
    {
        await using var kv = await Filled();

        var values = await kv.GetManyAsync(new List<string> { "a", "missing", "é" });

        values["é"].GetText().Should().Be("3");
        values.TryGetValue("missing", out var missing).Should().BeTrue();
        missing.Exists.Should().BeFalse();
        values.ContainsKey("b").Should().BeFalse("it is there, but was not asked for");
        values.Invoking(v => v["b"]).Should().Throw<KeyNotFoundException>().WithMessage("*\"b\"*");
        values.Invoking(v => v.ContainsKey(null!)).Should().Throw<ArgumentNullException>();
    }

    [Fact]
    public async Task Texts_are_found_by_the_same_keys_in_the_same_order()
    {
        await using var kv = await Filled();

        var texts = await kv.GetTextAsync(["é", "missing", "a"]);

        texts.Should().Equal(
            new KeyValuePair<string, string?>("é", "3"), new KeyValuePair<string, string?>("missing", null), new KeyValuePair<string, string?>("a", "1"));
        texts["a"].Should().Be("1");
    }

    [Fact]
    public async Task A_thousand_keys_at_once_are_read_where_the_limits_allow_it()
    {
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { Limits = new KvLimits { GetManyKeysMax = 1000 } });
        var keys = Enumerable.Range(0, 1000).Select(i => i % 3 == 0 ? $"schlüssel-{i}" : $"key-{i}").ToArray();
        foreach (var key in keys.Where((_, i) => i % 2 == 0))
        {
            await kv.PutAsync(key, key);
        }

        var values = await kv.GetManyAsync(keys);

        keys.Select(key => values[key].GetText()).Should().Equal(keys.Select((key, i) => i % 2 == 0 ? key : null));
    }

    private static async Task<KvNamespace> Filled()
    {
        var kv = KvNamespace.Create("KV");
        await kv.PutAsync("a", "1");
        await kv.PutAsync("b", "2");
        await kv.PutAsync("é", "3");
        return kv;
    }
}
