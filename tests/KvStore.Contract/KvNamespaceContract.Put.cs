using System.IO.Pipelines;
using System.Text.Json;

namespace KvStore.Contract;

/// <summary>Putting values of every kind, and deleting them.</summary>
public abstract partial class KvNamespaceContract
{
    private const int ValueBytesMax = 26_214_400;

    [Fact]
    public async Task A_value_is_put_as_text_bytes_memory_stream_pipe_or_JSON()
    {
        await Kv.PutAsync("text", "é1");
        await Kv.PutAsync("bytes", "é1"u8.ToArray());
        await Kv.PutAsync("memory", new ReadOnlyMemory<byte>("-é1-"u8.ToArray(), 1, 3));
        await Kv.PutAsync("writable memory", new Memory<byte>("-é1-"u8.ToArray(), 1, 3));
        await Kv.PutAsync("stream", new MemoryStream("é1"u8.ToArray()));
        await Kv.PutAsync("pipe", PipeReader.Create(new MemoryStream("é1"u8.ToArray())));

        foreach (var key in await Names())
        {
            (await Kv.GetTextAsync(key)).Should().Be("é1");
        }

        await Kv.PutJsonAsync("reflected", new Flag("é", false));
        await Kv.PutJsonAsync("generated", new Flag("é", false), ContractJson.Default.Flag);
        (await Kv.GetJsonAsync<Flag>("reflected")).Should().Be(new Flag("é", false));
        (await Kv.GetJsonAsync<Flag>("generated")).Should().Be(new Flag("é", false));
        (await Kv.GetTextAsync("reflected")).Should().Be("""{"name":"é","isOn":false}""");
    }

    [Fact]
    public async Task A_put_replaces_value_metadata_and_expiration_together()
    {
        await Kv.PutAsync("k", "1", new KvPutOptions
        {
            Metadata = KvMetadata.FromJson("""{"a":1}"""),
            ExpirationTtl = TimeSpan.FromHours(1),
        });
        await Kv.PutAsync("k", "22", new KvPutOptions { Metadata = KvMetadata.FromJson("[2]") });
        var second = await Kv.GetAsync("k");
        await Kv.PutAsync("k", "3", new KvPutOptions { ExpirationTtl = TimeSpan.FromHours(1) });
        var third = await Kv.GetAsync("k");
        var thirdExpiration = await ExpirationOf("k");
        await Kv.PutAsync("k", "");
        var fourth = await Kv.GetAsync("k");

        second.GetText().Should().Be("22");
        second.Metadata.ToString().Should().Be("[2]");
        second.Expiration.Should().BeNull();
        third.GetText().Should().Be("3");
        third.Metadata.IsNull.Should().BeTrue();
        thirdExpiration.Should().NotBeNull();
        fourth.GetText().Should().BeEmpty();
        fourth.Metadata.IsNull.Should().BeTrue();
        fourth.Expiration.Should().BeNull();
        (await Kv.ListAsync()).Keys.Should().ContainSingle().Which.Should().Be(new KvListKey("k"));
    }

    [Fact]
    public async Task A_put_takes_the_bytes_as_they_are_when_it_is_called()
    {
        var bytes = Noise(100_000);
        var expected = bytes.ToArray();
        await Kv.PutAsync("k", bytes);
        Array.Clear(bytes);

        (await Kv.GetBytesAsync("k"))!.Value.ToArray().Should().Equal(expected);
    }

    [Fact]
    public async Task Values_of_every_length_come_back_whole()
    {
        int[] lengths = [0, 1, 7, 8, 9, 63, 64, 65, 1023, 4095, 4096, 4097, 65_535, 65_536, 65_537, 1_048_577, 4_194_303, 4_194_305];
        foreach (var length in lengths)
        {
            await Kv.PutAsync($"{length}", Noise(length, length));
            await Kv.PutAsync($"streamed {length}", new SlowStream(Noise(length, length), 8191));
        }

        foreach (var length in lengths)
        {
            (await Kv.GetBytesAsync($"{length}"))!.Value.Span.SequenceEqual(Noise(length, length)).Should().BeTrue();
            (await Kv.GetBytesAsync($"streamed {length}"))!.Value.Span.SequenceEqual(Noise(length, length)).Should().BeTrue();
        }
    }

    [Fact]
    public async Task A_value_may_have_25_MiB_and_no_byte_more()
    {
        const string TooLong = "KV PUT failed: 413 Value length of 26214401 exceeds limit of 26214400.";
        var largest = Noise(ValueBytesMax);
        await Kv.PutAsync("largest", largest);
        await Kv.PutAsync("old", "old");

        await ShouldRefuse(() => Kv.PutAsync("old", new byte[ValueBytesMax + 1]).AsTask(), 413, TooLong);
        await ShouldRefuse(() => Kv.PutAsync("old", new string('x', ValueBytesMax + 1)).AsTask(), 413, TooLong);
        await ShouldRefuse(() => Kv.PutAsync("new", new byte[ValueBytesMax + 1]).AsTask(), 413, TooLong);

        (await Kv.GetBytesAsync("largest"))!.Value.Span.SequenceEqual(largest).Should().BeTrue();
        (await Kv.GetTextAsync("old")).Should().Be("old");
        (await Names()).Should().Equal("largest", "old");
    }

    [Fact]
    public async Task The_length_of_text_is_counted_in_bytes()
    {
        await Kv.PutAsync("k", "old");

        await ShouldRefuse(
            () => Kv.PutAsync("k", new string('é', (ValueBytesMax / 2) + 1)).AsTask(), 413,
            "KV PUT failed: 413 Value length of 26214402 exceeds limit of 26214400.");

        (await Kv.GetTextAsync("k")).Should().Be("old");
    }

    [Fact]
    public async Task Put_with_several_errors_reports_the_first_in_the_order_of_the_binding()
    {
        var tooLongMetadata = KvMetadata.FromJson($"\"{new string('m', 1023)}\"");
        var options = new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(1), Metadata = tooLongMetadata };
        await Kv.Invoking(kv => kv.PutAsync("", "v", options).AsTask()).Should().ThrowAsync<ArgumentException>().WithMessage("Key name*");
        await ShouldRefuse(
            () => Kv.PutAsync(Unpaired, "v", options).AsTask(), 400, "KV PUT failed: 400 Could not URL-decode key name");
        await ShouldRefuse(
            () => Kv.PutAsync("k", new byte[ValueBytesMax + 1], options).AsTask(), 400,
            "KV PUT failed: 400 Invalid expiration_ttl of 1. Expiration TTL must be at least 60.");
        options = options with { ExpirationTtl = null };
        await ShouldRefuse(
            () => Kv.PutAsync("k", new byte[ValueBytesMax + 1], options).AsTask(), 413,
            "KV PUT failed: 413 Metadata length of 1025 exceeds limit of 1024.");

        (await Names()).Should().BeEmpty();
    }

    [Fact]
    public async Task A_deleted_key_is_missing_and_may_be_put_anew_without_anything_of_the_old_entry()
    {
        await Kv.PutAsync("k", "1", new KvPutOptions { Metadata = KvMetadata.FromJson("1"), ExpirationTtl = TimeSpan.FromHours(1) });
        await Kv.PutAsync("kk", "other");

        await Kv.DeleteAsync("k");

        (await Kv.GetAsync("k")).Exists.Should().BeFalse();
        (await Kv.GetTextAsync("k")).Should().BeNull();
        (await Kv.GetManyAsync(["k"]))["k"].Exists.Should().BeFalse();
        (await Names()).Should().Equal("kk");

        await Kv.PutAsync("k", "2");

        var entry = await Kv.GetAsync("k");
        entry.GetText().Should().Be("2");
        entry.Metadata.IsNull.Should().BeTrue();
        entry.Expiration.Should().BeNull();
        (await Names()).Should().Equal("k", "kk");
    }

    [Fact]
    public async Task Deleting_what_is_missing_succeeds()
    {
        await Kv.DeleteAsync("missing");
        await Kv.PutAsync("k", "v");
        await Kv.DeleteAsync("k");
        await Kv.DeleteAsync("k");

        (await Kv.GetTextAsync("k")).Should().BeNull();
        await ShouldStillWork();
    }

    [Fact]
    public async Task Put_whose_serialisation_fails_changes_nothing()
    {
        await Kv.PutAsync("k", "old");

        await Kv.Invoking(kv => kv.PutJsonAsync("k", new Loop()).AsTask()).Should().ThrowAsync<JsonException>();

        (await Kv.GetTextAsync("k")).Should().Be("old");
    }

    private sealed class Loop
    {
        public Loop Self => this;
    }
}
