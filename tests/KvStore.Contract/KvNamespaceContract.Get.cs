using System.Text;
using System.Text.Json;

namespace KvStore.Contract;

/// <summary>Reading one key, in every type.</summary>
public abstract partial class KvNamespaceContract
{
    [Fact]
    public async Task A_key_that_was_never_put_is_missing_in_every_type()
    {
        var entry = await Kv.GetAsync("missing");

        entry.Exists.Should().BeFalse();
        entry.GetText().Should().BeNull();
        entry.Metadata.IsNull.Should().BeTrue();
        entry.Expiration.Should().BeNull();
        entry.Length.Should().Be(0);
        (await Kv.GetTextAsync("missing")).Should().BeNull();
        (await Kv.GetJsonAsync<int?>("missing")).Should().BeNull();
        (await Kv.GetJsonAsync("missing", ContractJson.Default.Flag)).Should().BeNull();
        (await Kv.GetBytesAsync("missing")).Should().BeNull();
        (await Kv.GetStreamAsync("missing")).Should().BeNull();
    }

    [Fact]
    public async Task A_value_is_read_as_text_JSON_bytes_or_stream()
    {
        const string Json = """{"name":"déjà vu","isOn":true}""";
        await Kv.PutAsync("k", Json);

        (await Kv.GetTextAsync("k")).Should().Be(Json);
        (await Kv.GetJsonAsync<Flag>("k")).Should().Be(new Flag("déjà vu", true));
        (await Kv.GetJsonAsync("k", ContractJson.Default.Flag)).Should().Be(new Flag("déjà vu", true));
        (await Kv.GetBytesAsync("k"))!.Value.ToArray().Should().Equal(Encoding.UTF8.GetBytes(Json));
        await using var stream = await Kv.GetStreamAsync("k");
        (await new StreamReader(stream!).ReadToEndAsync()).Should().Be(Json);
    }

    [Fact]
    public async Task An_entry_is_read_as_text_JSON_bytes_or_stream_as_often_as_one_likes()
    {
        await Kv.PutAsync("k", "[1,2]");

        var entry = await Kv.GetAsync("k");

        for (var i = 0; i < 2; i++)
        {
            entry.Exists.Should().BeTrue();
            entry.Length.Should().Be(5);
            entry.GetText().Should().Be("[1,2]");
            entry.GetJson<int[]>().Should().Equal(1, 2);
            entry.GetJson(ContractJson.Default.Int32Array).Should().Equal(1, 2);
            entry.GetBytes().ToArray().Should().Equal("[1,2]"u8.ToArray());
            using var reader = new StreamReader(entry.OpenStream());
            (await reader.ReadToEndAsync()).Should().Be("[1,2]");
        }
    }

    [Fact]
    public async Task An_empty_value_exists_and_is_no_JSON()
    {
        await Kv.PutAsync("k", "");

        (await Kv.GetAsync("k")).Exists.Should().BeTrue();
        (await Kv.GetTextAsync("k")).Should().BeEmpty();
        (await Kv.GetBytesAsync("k")).Should().NotBeNull();
        (await Kv.GetBytesAsync("k"))!.Value.Length.Should().Be(0);
        await using var stream = await Kv.GetStreamAsync("k");
        (await stream!.ReadAsync(new byte[1])).Should().Be(0);
        await Kv.Invoking(kv => kv.GetJsonAsync<int>("k").AsTask()).Should().ThrowAsync<JsonException>();
    }

    [Fact]
    public async Task A_value_that_is_no_JSON_can_be_read_as_anything_else()
    {
        await Kv.PutAsync("k", "not json");

        await Kv.Invoking(kv => kv.GetJsonAsync<object>("k").AsTask()).Should().ThrowAsync<JsonException>();
        (await Kv.GetTextAsync("k")).Should().Be("not json");
    }

    [Fact]
    public async Task A_stored_JSON_null_reads_as_null_and_exists()
    {
        await Kv.PutAsync("k", "null");

        (await Kv.GetJsonAsync<Flag>("k")).Should().BeNull();
        (await Kv.GetAsync("k")).Exists.Should().BeTrue();
        (await Kv.GetTextAsync("k")).Should().Be("null");
    }

    [Fact]
    public async Task Bytes_that_are_not_UTF_8_read_as_replacement_characters_and_stay_as_they_are()
    {
        byte[] bytes = [(byte)'a', 0xFF, (byte)'b', 0xE2, 0x82, (byte)'c', 0xF0, 0x9F];
        await Kv.PutAsync("k", bytes);

        (await Kv.GetTextAsync("k")).Should().Be("a\uFFFDb\uFFFDc\uFFFD");
        (await Kv.GetTextAsync(["k"]))["k"].Should().Be("a\uFFFDb\uFFFDc\uFFFD");
        (await Kv.GetBytesAsync("k"))!.Value.ToArray().Should().Equal(bytes);
    }

    [Fact]
    public async Task A_byte_order_mark_is_kept()
    {
        await Kv.PutAsync("k", "\uFEFFv");

        (await Kv.GetTextAsync("k")).Should().Be("\uFEFFv");
        (await Kv.GetBytesAsync("k"))!.Value.ToArray().Should().Equal(0xEF, 0xBB, 0xBF, (byte)'v');
    }

    [Fact]
    public async Task Every_byte_and_every_kind_of_character_survives()
    {
        var bytes = Enumerable.Range(0, 256).Select(b => (byte)b).ToArray();
        const string Text = "\0\u0001\t\n\r\u001F \u007F\u0080\u00FF\u2028\uFEFF\uFFFD\uFFFF\U0001F600\U0010FFFF";
        await Kv.PutAsync("bytes", bytes);
        await Kv.PutAsync("text", Text);

        (await Kv.GetBytesAsync("bytes"))!.Value.ToArray().Should().Equal(bytes);
        (await Kv.GetTextAsync("text")).Should().Be(Text);
    }

    [Fact]
    public async Task A_stream_that_is_read_cannot_be_written_to()
    {
        await Kv.PutAsync("k", "value");

        await using var stream = await Kv.GetStreamAsync("k");

        stream!.CanRead.Should().BeTrue();
        stream.CanWrite.Should().BeFalse();
    }

    [Fact]
    public async Task CacheTtl_must_be_30_seconds_at_least_even_for_a_key_that_is_missing()
    {
        await Kv.PutAsync("k", "v");
        if (!TakesCacheTtl)
        {
            await Kv.Invoking(kv => kv.GetAsync("k", new KvGetOptions { CacheTtl = TimeSpan.FromSeconds(30) }).AsTask()).Should().ThrowAsync<NotSupportedException>();
            return;
        }

        (await Kv.GetTextAsync("k", new KvGetOptions { CacheTtl = TimeSpan.FromSeconds(30) })).Should().Be("v");
        (await Kv.GetTextAsync("missing", new KvGetOptions { CacheTtl = TimeSpan.FromDays(365) })).Should().BeNull();
        foreach (var (seconds, shown) in new[] { (29, 29), (29.99, 29), (0, 0), (-1, -1) })
        {
            await ShouldRefuse(
                () => Kv.GetAsync("missing", new KvGetOptions { CacheTtl = TimeSpan.FromSeconds(seconds) }).AsTask(), 400,
                FormattableString.Invariant($"KV GET failed: 400 Invalid cache_ttl of {shown}. Cache TTL must be at least 30."));
        }
    }

    [Fact]
    public async Task CacheTtl_must_fit_32_bits() =>
        await Kv.Invoking(kv => kv.GetAsync("k", new KvGetOptions { CacheTtl = TimeSpan.FromSeconds(2_147_483_648) }).AsTask())
            .Should().ThrowAsync<ArgumentException>().WithMessage(WrongSeconds);

    [Fact]
    public async Task Wrong_key_is_reported_before_a_wrong_CacheTtl() =>
        await Kv.Invoking(kv => kv.GetAsync("", new KvGetOptions { CacheTtl = TimeSpan.Zero }).AsTask())
            .Should().ThrowAsync<ArgumentException>().WithMessage("Key name*");

    [Fact]
    public async Task Value_that_was_read_is_unchanged_whatever_happens_to_the_key()
    {
        var bytes = Noise(10_000);
        await Kv.PutAsync("k", bytes, new KvPutOptions { Metadata = KvMetadata.FromJson("""{"a":1}""") });
        var entry = await Kv.GetAsync("k");
        var many = (await Kv.GetManyAsync(["k"]))["k"];
        var view = (await Kv.GetBytesAsync("k"))!.Value;
        var listed = (await Kv.ListAsync()).Keys[0];
        await using var stream = await Kv.GetStreamAsync("k");
        var read = new byte[bytes.Length];
        await stream!.ReadExactlyAsync(read.AsMemory(0, 5000));

        for (var i = 0; i < 200; i++)
        {
            await Kv.PutAsync("k", Noise(10_000, seed: 2 + i), new KvPutOptions { Metadata = KvMetadata.FromJson("[2]") });
        }

        await Kv.DeleteAsync("k");
        await PutAll(Enumerable.Range(0, 200).Select(i => $"other {i}"));

        await stream.ReadExactlyAsync(read.AsMemory(5000));
        read.Should().Equal(bytes);
        view.Span.SequenceEqual(bytes).Should().BeTrue();
        entry.GetBytes().Span.SequenceEqual(bytes).Should().BeTrue();
        many.GetText().Should().Be(Encoding.UTF8.GetString(bytes));
        foreach (var value in new[] { entry, many })
        {
            value.Metadata.ToString().Should().Be("""{"a":1}""");
        }

        listed.Name.Should().Be("k");
        listed.Metadata.ToString().Should().Be("""{"a":1}""");
    }
}
