using System.IO.Pipelines;

namespace KvStore.Contract;

/// <summary>Putting from streams and pipes, whole or not at all.</summary>
public abstract partial class KvNamespaceContract
{
    [Fact]
    public async Task A_stream_is_read_from_where_it_stands_to_its_end_and_not_closed()
    {
        var stream = new MemoryStream("0123456789"u8.ToArray()) { Position = 4 };

        await Kv.PutAsync("k", stream);

        (await Kv.GetTextAsync("k")).Should().Be("456789");
        stream.CanRead.Should().BeTrue("a stream belongs to who opened it");
        stream.Position.Should().Be(10);
    }

    [Fact]
    public async Task A_stream_of_unknown_length_may_yield_a_byte_at_a_time()
    {
        var bytes = Noise(3000);

        await Kv.PutAsync("k", new SlowStream(bytes, 1));

        (await Kv.GetBytesAsync("k"))!.Value.ToArray().Should().Equal(bytes);
    }

    [Fact]
    public async Task An_empty_stream_and_an_empty_pipe_make_an_empty_value()
    {
        await Kv.PutAsync("stream", new MemoryStream());
        await Kv.PutAsync("pipe", PipeReader.Create(new MemoryStream()));

        (await Kv.GetTextAsync("stream")).Should().BeEmpty();
        (await Kv.GetTextAsync("pipe")).Should().BeEmpty();
    }

    [Fact]
    public async Task A_pipe_is_read_while_it_is_written_and_not_completed()
    {
        var pipe = new Pipe();
        var bytes = Noise(300_000);

        var put = Kv.PutAsync("k", pipe.Reader).AsTask();
        foreach (var part in bytes.Chunk(10_000))
        {
            await pipe.Writer.WriteAsync(part);
            (await Kv.GetAsync("k")).Exists.Should().BeFalse("a value that is not whole is not there");
        }

        await pipe.Writer.CompleteAsync();
        await put;

        (await Kv.GetBytesAsync("k"))!.Value.ToArray().Should().Equal(bytes);
        await pipe.Reader.CompleteAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_stream_that_fails_midway_gives_its_error_and_leaves_nothing_behind(bool isNew)
    {
        if (!isNew)
        {
            await Kv.PutAsync("k", "old", new KvPutOptions { Metadata = KvMetadata.FromJson("7") });
        }

        var stream = new SlowStream(Noise(500_000), 50_000) { FailsAt = 400_000 };

        await Kv.Invoking(kv => kv.PutAsync("k", stream).AsTask()).Should().ThrowAsync<IOException>().WithMessage("The source broke.");

        (await Kv.GetTextAsync("k")).Should().Be(isNew ? null : "old");
        (await Kv.GetAsync("k")).Metadata.ToString().Should().Be(isNew ? "null" : "7");
        (await Names()).Should().HaveCount(isNew ? 0 : 1);
        await ShouldStillWork();
    }

    [Fact]
    public async Task A_pipe_that_fails_midway_gives_its_error_and_leaves_nothing_behind()
    {
        var pipe = new Pipe();
        await Kv.PutAsync("k", "old");

        var put = Kv.PutAsync("k", pipe.Reader).AsTask();
        await pipe.Writer.WriteAsync(Noise(1000));
        await pipe.Writer.CompleteAsync(new IOException("The source broke."));

        await FluentActions.Awaiting(() => put).Should().ThrowAsync<IOException>().WithMessage("The source broke.");
        (await Kv.GetTextAsync("k")).Should().Be("old");
        await ShouldStillWork();
    }

    [Fact]
    public async Task A_stream_over_25_MiB_is_refused_and_leaves_nothing_behind()
    {
        await Kv.PutAsync("k", "old");
        var longer = new byte[ValueBytesMax + 1];
        const string Message = "KV PUT failed: 413 Value length of 26214401 exceeds limit of 26214400.";

        await ShouldRefuse(() => Kv.PutAsync("k", new MemoryStream(longer)).AsTask(), 413, Message);
        await ShouldRefuse(() => Kv.PutAsync("k", new SlowStream(longer, 1 << 20)).AsTask(), 413, Message);
        await ShouldRefuse(() => Kv.PutAsync("new", PipeReader.Create(new SlowStream(longer, 1 << 20))).AsTask(), 413, Message);

        (await Kv.GetTextAsync("k")).Should().Be("old");
        (await Names()).Should().Equal("k");
        await Kv.PutAsync("k", new SlowStream(longer[1..], 1 << 20));
        (await Kv.GetAsync("k")).Length.Should().Be(ValueBytesMax);
    }

    [Fact]
    public async Task A_put_is_refused_before_its_stream_is_read()
    {
        var stream = new SlowStream([1, 2, 3], 1);

        await ShouldRefuse(
            () => Kv.PutAsync("k", stream, new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(1) }).AsTask(), 400,
            "KV PUT failed: 400 Invalid expiration_ttl of 1. Expiration TTL must be at least 60.");

        stream.IsUntouched.Should().BeTrue();
    }

    [Fact]
    public async Task A_reader_sees_the_old_value_until_a_stream_has_ended()
    {
        await Kv.PutAsync("k", "old");
        var pipe = new Pipe();

        var put = Kv.PutAsync("k", pipe.Reader.AsStream(leaveOpen: true)).AsTask();
        await pipe.Writer.WriteAsync("new"u8.ToArray());
        (await Kv.GetTextAsync("k")).Should().Be("old");
        await pipe.Writer.CompleteAsync();
        await put;

        (await Kv.GetTextAsync("k")).Should().Be("new");
    }
}
