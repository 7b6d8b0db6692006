using System.IO.Pipelines;
using KvStore.TestKit.Persistence;

namespace KvStore.Tests.Writes;

/// <summary>Of two writes of one key that one thread calls, the one called later wins, whatever their sizes and kinds.</summary>
public sealed class CallOrderTests : IAsyncDisposable
{
    private const int LargeBytes = 5000;

    private readonly MemoryPersistence _kept = new();
    private KvNamespace _kv = null!;

    public ValueTask DisposeAsync() => _kv.DisposeAsync();

    private async Task OpenAsync(bool isPersistent, KvReplicationOptions? replication = null) => _kv = await KvNamespace.OpenAsync(
        "KV", new KvNamespaceOptions { Persistence = isPersistent ? _kept : null, Replication = replication });

    private static KvContent Content(string kind, char filling) => kind switch
    {
        "small" => filling.ToString(),
        "large text" => new string(filling, LargeBytes),
        "large bytes" => Enumerable.Repeat((byte)filling, LargeBytes).ToArray(),
        "stream" => new MemoryStream(Enumerable.Repeat((byte)filling, 10).ToArray()),
        "slow stream" => new SlowStream(filling, LargeBytes),
        _ => PipeReader.Create(new SlowStream(filling, 10)),
    };

    public static TheoryData<string, string, bool> Pairs()
    {
        string[] kinds = ["small", "large text", "large bytes", "stream", "slow stream", "pipe"];
        var pairs = new TheoryData<string, string, bool>();
        foreach (var first in kinds)
        {
            foreach (var second in kinds)
            {
                pairs.Add(first, second, false);
                pairs.Add(first, second, true);
            }
        }

        return pairs;
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Two_puts_that_are_not_awaited_leave_the_one_called_later(string first, string second, bool isPersistent)
    {
        await OpenAsync(isPersistent);

        var puts = new[] { _kv.PutAsync("k", Content(first, '1')).AsTask(), _kv.PutAsync("k", Content(second, '2')).AsTask() };
        await Task.WhenAll(puts);

        (await _kv.GetTextAsync("k"))!.Distinct().Should().Equal('2');
        if (isPersistent)
        {
            await _kv.DisposeAsync();
            await OpenAsync(isPersistent);
            (await _kv.GetTextAsync("k"))!.Distinct().Should().Equal('2');
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_put_made_while_an_earlier_stream_is_read_is_not_overwritten_by_it(bool isPersistent)
    {
        await OpenAsync(isPersistent);
        var pipe = new Pipe();
        var earlier = _kv.PutAsync("k", pipe.Reader).AsTask();

        await _kv.PutAsync("k", "later");
        (await _kv.GetTextAsync("k")).Should().Be("later", "nobody waits for the stream");
        await pipe.Writer.WriteAsync(new byte[LargeBytes]);
        await pipe.Writer.CompleteAsync();
        await earlier;

        (await _kv.GetTextAsync("k")).Should().Be("later");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_delete_made_while_an_earlier_stream_is_read_stays_made(bool isPersistent)
    {
        await OpenAsync(isPersistent);
        var pipe = new Pipe();
        var earlier = _kv.PutAsync("k", pipe.Reader).AsTask();

        await _kv.DeleteAsync("k");
        await pipe.Writer.WriteAsync(new byte[LargeBytes]);
        await pipe.Writer.CompleteAsync();
        await earlier;

        (await _kv.GetAsync("k")).Exists.Should().BeFalse();
        (await _kv.ListAsync()).Keys.Should().BeEmpty();
    }

    [Fact]
    public async Task A_later_entry_that_has_expired_does_not_let_an_earlier_stream_win()
    {
        var time = new FakeTimeProvider();
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = time });
        var pipe = new Pipe();
        var earlier = kv.PutAsync("k", pipe.Reader).AsTask();
        await kv.PutAsync("k", "later", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) });
        time.Advance(TimeSpan.FromSeconds(120));
        kv.Count.Should().Be(0, "it was swept");

        await pipe.Writer.CompleteAsync();
        await earlier;

        (await kv.GetAsync("k")).Exists.Should().BeFalse();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Streams_that_end_in_the_other_order_leave_the_one_called_later(bool isPersistent)
    {
        await OpenAsync(isPersistent);
        var pipes = Enumerable.Range(0, 4).Select(_ => new Pipe()).ToArray();
        var puts = pipes.Select(pipe => _kv.PutAsync("k", pipe.Reader).AsTask()).ToArray();

        foreach (var i in new[] { 2, 0, 3, 1 })
        {
            await pipes[i].Writer.WriteAsync(new[] { (byte)('0' + i) });
            await pipes[i].Writer.CompleteAsync();
            await puts[i];
        }

        (await _kv.GetTextAsync("k")).Should().Be("3");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_later_put_that_is_refused_lets_the_earlier_stream_be_made(bool isPersistent)
    {
        await OpenAsync(isPersistent);
        var earlierPipe = new Pipe();
        var laterPipe = new Pipe();
        var earlier = _kv.PutAsync("k", earlierPipe.Reader).AsTask();
        var later = _kv.PutAsync("k", laterPipe.Reader).AsTask();
        await laterPipe.Writer.CompleteAsync(new IOException("broken"));
        await ((Func<Task>)(() => later)).Should().ThrowAsync<IOException>();

        await earlierPipe.Writer.WriteAsync("earlier"u8.ToArray());
        await earlierPipe.Writer.CompleteAsync();
        await earlier;

        (await _kv.GetTextAsync("k")).Should().Be("earlier");
    }

    [Fact]
    public async Task Other_keys_are_not_concerned()
    {
        await OpenAsync(isPersistent: false);
        var pipe = new Pipe();
        var earlier = _kv.PutAsync("a", pipe.Reader).AsTask();
        await _kv.PutAsync("b", "b");
        await pipe.Writer.WriteAsync("a"u8.ToArray());
        await pipe.Writer.CompleteAsync();
        await earlier;

        (await _kv.GetTextAsync("a")).Should().Be("a");
        (await _kv.GetTextAsync("b")).Should().Be("b");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task In_a_region_the_put_called_later_wins_everywhere(bool isPersistent)
    {
        await OpenAsync(isPersistent, new KvReplicationOptions { Regions = ["jnb", "lhr"], Lag = KvLag.None });
        var pipe = new Pipe();
        var earlier = _kv.InRegion("lhr").PutAsync("k", pipe.Reader).AsTask();
        await _kv.InRegion("lhr").PutAsync("k", "later");
        await pipe.Writer.WriteAsync("earlier"u8.ToArray());
        await pipe.Writer.CompleteAsync();
        await earlier;

        (await _kv.InRegion("lhr").GetTextAsync("k")).Should().Be("later");
        (await _kv.InRegion("jnb").GetTextAsync("k")).Should().Be("later");
    }

    /// <summary>Yields its bytes in parts, each on another thread.</summary>
    private sealed class SlowStream(char filling, int length) : Stream
    {
        private int _left = length;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Task.Yield();
            var count = Math.Min(Math.Min(buffer.Length, 999), _left);
            buffer.Span[..count].Fill((byte)filling);
            _left -= count;
            return count;
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
            // Nothing is written.
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
