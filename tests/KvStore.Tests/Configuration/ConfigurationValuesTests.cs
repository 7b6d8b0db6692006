using System.Text;
using Microsoft.Extensions.Configuration;

namespace KvStore.Tests.Configuration;

/// <summary>How entries become keys and values of the configuration.</summary>
public sealed class ConfigurationValuesTests : IAsyncDisposable
{
    private readonly KvNamespace _kv = KvNamespace.Create("CONFIG_KV");

    public ValueTask DisposeAsync() => _kv.DisposeAsync();

    [Fact]
    public async Task Text_is_the_value_of_its_key_as_it_is()
    {
        await PutAsync(("Shop:Title", " Apples & pears\n"), ("Shop:Open", "true"), ("Shop:Count", "007"), ("Shop:Quoted", "\"x\""), ("Shop:Empty", ""));

        using var configuration = Build();

        configuration.Values().Should().BeEquivalentTo(new Dictionary<string, string>
        {
            ["Shop:Title"] = " Apples & pears\n",
            ["Shop:Open"] = "true",
            ["Shop:Count"] = "007",
            ["Shop:Quoted"] = "\"x\"",
            ["Shop:Empty"] = "",
        });
        configuration["shop:title"].Should().Be(" Apples & pears\n");
    }

    [Fact]
    public async Task Properties_and_items_of_json_become_keys()
    {
        await PutAsync(("Shop", """{ "Title": "Fruit", "Prices": [ 1, 2.50 ], "Owner": { "Name": "Ada" }, "Gone": null }"""), ("Hosts", " [\"a\", \"b\"]"));

        using var configuration = Build();

        configuration.Values().Should().BeEquivalentTo(new Dictionary<string, string>
        {
            ["Shop:Title"] = "Fruit",
            ["Shop:Prices:0"] = "1",
            ["Shop:Prices:1"] = "2.50",
            ["Shop:Owner:Name"] = "Ada",
            ["Hosts:0"] = "a",
            ["Hosts:1"] = "b",
        });
    }

    [Fact]
    public async Task Json_stays_text_where_flattening_is_switched_off()
    {
        await PutAsync(("Shop", """{ "Title": "Fruit" }"""), ("Template", "[{Level}] {Message"));

        using var configuration = Build(o => o.FlattenJson = false);

        configuration.Values().Should().BeEquivalentTo(new Dictionary<string, string>
        {
            ["Shop"] = """{ "Title": "Fruit" }""",
            ["Template"] = "[{Level}] {Message",
        });
    }

    [Theory]
    [InlineData("site/", ":", "site/Shop:Title", "Shop:Title")]
    [InlineData("site", "/", "site/Shop/Title", "Shop:Title")]
    [InlineData("site/", "/", "site//Shop", ":Shop")]
    [InlineData("", "__", "Logging__LogLevel__Default", "Logging:LogLevel:Default")]
    [InlineData("", "/", "Shop/Title:Long", "Shop:Title:Long")]
    [InlineData("App_", "__", "App_Shop__Title", "Shop:Title")]
    [InlineData("", ":", "Shop::Title", "Shop::Title")]
    [InlineData("", ":", "Shop:", "Shop:")]
    [InlineData("", ":", ":Shop", ":Shop")]
    [InlineData("", ".", "Shop.Titel.Größe", "Shop:Titel:Größe")]
    public async Task Key_loses_the_prefix_and_its_separator_becomes_a_colon(string prefix, string separator, string key, string path)
    {
        await PutAsync((key, "v"), ("other", "not read where there is a prefix"));

        using var configuration = Build(o => (o.Prefix, o.Separator) = (prefix, separator));

        configuration[path].Should().Be("v");
        configuration["other"].Should().Be(prefix.Length == 0 ? "not read where there is a prefix" : null);
    }

    [Fact]
    public async Task Json_under_the_prefix_itself_begins_at_the_root()
    {
        await PutAsync(("appsettings", """{ "Shop": { "Title": "Fruit" } }"""));

        using var configuration = Build(o => o.Prefix = "appsettings");
        await PutAsync(("appsettings", "no JSON, and no name"), ("appsettings:Next", "seen"));
        await configuration.WhenAsync("Next", "seen");

        configuration["Shop:Title"].Should().Be("Fruit", "a text has no name there, so that the last good value is kept");
    }

    [Theory]
    [InlineData("""{ "a": 1""")]
    [InlineData("""{ "a": 1, "A": 2 }""")]
    [InlineData("""{ "a:b": 1, "a": { "b": 2 } }""")]
    [InlineData("""{ "a": "\ud800" }""")]
    [InlineData("{ } { }")]
    [InlineData("[1, 2")]
    public async Task Json_that_is_broken_leaves_the_others_as_they_are(string json)
    {
        await PutAsync(("Broken", json), ("Good", "v"));

        using var configuration = Build();

        configuration.Values().Should().BeEquivalentTo(new Dictionary<string, string> { ["Good"] = "v" });
    }

    [Fact]
    public async Task Bytes_that_are_not_utf8_are_no_value_and_a_byte_order_mark_is_left_out()
    {
        await _kv.PutAsync("Broken", new byte[] { 0xC3, 0x28 });
        await _kv.PutAsync("Marked", Encoding.UTF8.GetPreamble().Concat("""{ "a": "ä" }"""u8.ToArray()).ToArray());

        using var configuration = Build();

        configuration.Values().Should().BeEquivalentTo(new Dictionary<string, string> { ["Marked:a"] = "ä" });
    }

    [Fact]
    public async Task Of_keys_that_differ_in_case_the_later_one_in_ordinal_order_wins()
    {
        await PutAsync(("shop", "small"), ("SHOP", "large"), ("Shop", "both"));
        using var configuration = Build();
        configuration["Shop"].Should().Be("small");

        await _kv.DeleteAsync("shop");

        await configuration.WhenAsync("Shop", "both");
    }

    [Fact]
    public async Task Key_of_its_own_wins_over_the_property_of_a_value()
    {
        await PutAsync(("Shop:Title", "own"), ("Shop", """{ "Title": "property", "Owner": "Ada" }"""));
        using var configuration = Build();
        configuration["Shop:Title"].Should().Be("own");
        configuration["Shop:Owner"].Should().Be("Ada");

        await _kv.DeleteAsync("Shop:Title");

        await configuration.WhenAsync("Shop:Title", "property");
    }

    [Fact]
    public async Task Value_of_25_MiB_is_read_and_changes()
    {
        var text = new string('x', new KvLimits().ValueBytesMax - 10);
        await _kv.PutAsync("Large", $$"""{"a":"{{text}}"}""");

        using var configuration = Build();

        configuration["Large:a"].Should().HaveLength(text.Length);
        await _kv.PutAsync("Large", $$"""{"b":"{{text}}"}""");
        await configuration.WhenAsync(current => current["Large:b"]?.Length == text.Length);
        configuration["Large:a"].Should().BeNull();
    }

    [Fact]
    public async Task Sections_and_arrays_bind_to_objects()
    {
        await PutAsync(("Shop", """{ "Title": "Fruit", "Prices": [1, 2] }"""), ("Shop:Prices:1", "3"));

        using var configuration = Build();

        var shop = configuration.GetSection("Shop").Get<Shop>()!;
        shop.Title.Should().Be("Fruit");
        shop.Prices.Should().Equal(1, 3);
    }

    [Fact]
    public async Task Debug_view_names_the_namespace_and_the_prefix_of_a_value()
    {
        await PutAsync(("site/Shop", "v"));
        using var configuration = Build(o => o.Prefix = "site/");

        configuration.GetDebugView().Should().Contain("Shop=v (KvConfigurationProvider for CONFIG_KV, prefix \"site/\")");
    }

    [Fact]
    public void Options_that_are_wrong_are_refused_with_what_is_allowed()
    {
        var separator = () => Build(o => o.Separator = "");
        var prefix = () => Build(o => o.Prefix = null!);
        var notUnicode = () => Build(o => o.Prefix = "site\uD800/");

        var tooLong = () => Build(o => o.Prefix = new string('é', 300));
        var longest = () => Build(o => o.Prefix = new string('é', 128));

        tooLong.Should().Throw<ArgumentException>().WithMessage("KvConfigurationOptions.Prefix is \"é*600 bytes in UTF-8. It may have at most 256.*").WithParameterName("Prefix");
        longest.Should().NotThrow();
        separator.Should().Throw<ArgumentException>().WithMessage("*Separator*empty*\"__\"*");
        prefix.Should().Throw<ArgumentException>().WithMessage("*Prefix*null*");
        notUnicode.Should().Throw<ArgumentException>().WithMessage("*Prefix*\"site\\uD800/\"*must be Unicode*");
    }

    private ConfigurationRoot Build(Action<KvConfigurationOptions>? read = null) =>
        (ConfigurationRoot)new ConfigurationBuilder().AddKvNamespace(_kv, read).Build();

    private async Task PutAsync(params (string Key, string Value)[] entries)
    {
        foreach (var (key, value) in entries)
        {
            await _kv.PutAsync(key, value);
        }
    }

    private sealed class Shop
    {
        public string Title { get; set; } = "";

        public List<int> Prices { get; } = [];
    }
}
