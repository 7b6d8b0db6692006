using System.Text;

namespace KvStore.Tests.Bulk;

/// <summary>Files that arrive in pieces, break, or hold what is hard to read.</summary>
public sealed class BulkFileTests : IDisposable
{
    private readonly KvNamespace _kv = KvNamespace.Create("BULK");

    public void Dispose() => _kv.Dispose();

    [Fact]
    public async Task A_break_costs_no_entry_that_stands_before_it()
    {
        var file = Encoding.UTF8.GetBytes("""[{"key":"a","value":"1"},{"key":"b","value":"2"},{"key":"c","value":"3"}]""");
        for (var length = 0; length < file.Length; length++)
        {
            using var kv = KvNamespace.Create("BULK");
            var whole = file[..length].Count(b => b == '}');

            var act = () => KvBulk.ImportAsync(kv, new MemoryStream(file, 0, length)).AsTask();

            await act.Should().ThrowAsync<InvalidDataException>().WithMessage($"*breaks after {whole} entries, of which {whole} were put*");
            kv.Count.Should().Be(whole);
        }
    }

    [Fact]
    public async Task Syntax_error_is_reported_with_its_line_and_byte()
    {
        var act = () => Import("[{\"key\":\"a\",\"value\":\"1\"},\n {\"key\":}]"u8.ToArray());

        await act.Should().ThrowAsync<InvalidDataException>()
            .WithMessage("The bulk file is not a JSON array of entries: it breaks after 1 entries, of which 1 were put, in line 2 at byte 9.*");
    }

    [Theory]
    [InlineData("null")]
    [InlineData("5")]
    [InlineData("\"[]\"")]
    [InlineData("[] []")]
    [InlineData("[],")]
    [InlineData("")]
    [InlineData("\uFEFF")]
    public async Task A_file_that_is_no_array_is_refused(string file)
    {
        var act = () => Import(Encoding.UTF8.GetBytes(file));

        await act.Should().ThrowAsync<InvalidDataException>().WithMessage("The bulk file is not a JSON array of entries*");
    }

    [Theory]
    [InlineData("[]", 0)]
    [InlineData(" \n[ ] \n", 0)]
    [InlineData("\uFEFF[{\"key\":\"a\",\"value\":\"1\"}]\n", 1)]
    public async Task White_space_and_a_byte_order_mark_are_no_entries(string file, int imported)
    {
        var result = await Import(Encoding.UTF8.GetBytes(file));

        result.Should().BeEquivalentTo(new KvBulkResult(imported, 0, []));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(5000)]
    public async Task A_file_may_arrive_in_pieces_of_any_size(int pieceBytes)
    {
        var long_ = string.Concat(Enumerable.Repeat("é\\n\\u20ac\U0001F600 ", 4000));
        var file = Encoding.UTF8.GetBytes($$"""[{"key":"a","value":"1"}, {"key":"long","value":"{{long_}}","metadata":[1]} ,7, {"key":"z","value":""}]""");

        var result = await KvBulk.ImportAsync(_kv, new PieceStream(file, pieceBytes));

        result.Imported.Should().Be(3);
        result.Errors.Should().ContainSingle().Which.Index.Should().Be(2);
        (await _kv.GetTextAsync("long")).Should().Be(long_.Replace("\\n", "\n", StringComparison.Ordinal).Replace("\\u20ac", "€", StringComparison.Ordinal));
        (await _kv.GetTextAsync("z")).Should().BeEmpty();
    }

    [Fact]
    public async Task An_entry_goes_in_before_the_next_one_has_arrived()
    {
        var stream = new PieceStream("""[{"key":"a","value":"1"},{"key":"b","value":"2"}]"""u8.ToArray(), 1)
        {
            OnRead = position =>
            {
                if (position == """[{"key":"a","value":"1"},{"key":"b","val"""u8.Length)
                {
                    throw new IOException($"gone, with {_kv.Count} in");
                }
            },
        };

        var act = () => KvBulk.ImportAsync(_kv, stream).AsTask();

        await act.Should().ThrowAsync<IOException>().WithMessage("gone, with 1 in");
    }

    [Theory]
    [InlineData("{\"key\":\"k\",\"value\":\"v\",\"metadata\":\"\u00FF\"}", "*\"metadata\" holds bytes that are not UTF-8*")]
    [InlineData("{\"key\":\"k\",\"value\":\"\u00FF\"}", "*\"value\" holds*not UTF-8*")]
    [InlineData("{\"key\":\"\u00FF\",\"value\":\"v\"}", "*\"key\" holds*not UTF-8*")]
    [InlineData("{\"\\ud800a\":1,\"k\\u0065y\":\"k\",\"value\":\"v\"}", "*name of a property*surrogate pair*")]
    public async Task Entry_that_is_not_Unicode_is_bad_and_the_rest_is_imported(string entry, string reason)
    {
        var result = await Import([.. "["u8, .. Encoding.Latin1.GetBytes(entry), .. ",{\"key\":\"after\",\"value\":\"x\"}]"u8]);

        result.Imported.Should().Be(1);
        result.Errors.Should().ContainSingle().Which.Reason.Should().Match(reason);
        (await _kv.GetTextAsync("after")).Should().Be("x");
    }

    [Theory]
    [InlineData(64)]
    [InlineData(500)]
    public async Task Metadata_survives_the_round_trip_however_deep_it_is(int depth)
    {
        var metadata = KvMetadata.FromJson(new string('[', depth) + new string(']', depth));
        await _kv.PutAsync("k", "v", new KvPutOptions { Metadata = metadata });
        using var copy = KvNamespace.Create("COPY");

        (await KvBulk.ImportAsync(copy, await Export())).Imported.Should().Be(1);

        (await copy.GetAsync("k")).Metadata.Should().Be(metadata);
    }

    [Theory]
    [InlineData("metadata", 1001)]
    [InlineData("unknown", 100_000)]
    public async Task Entry_nested_too_deeply_is_bad_and_the_rest_is_imported(string name, int depth)
    {
        var deep = new string('[', depth) + new string(']', depth);

        var result = await Import(Encoding.UTF8.GetBytes(
            $$"""[{"key":"deep","value":"1","{{name}}":{{deep}}},{"key":"after","value":"2"}]"""));

        result.Errors.Should().ContainSingle().Which.Reason.Should().Be("The entry is nested to a depth of more than 1001.");
        (await _kv.GetTextAsync("after")).Should().Be("2");
    }

    [Fact]
    public async Task Values_of_any_length_and_kind_survive_being_written_in_parts()
    {
        const int Part = 64 * 1024;
        foreach (var length in new[] { Part - 1, Part, Part + 1, (3 * Part) - 1 })
        {
            await _kv.PutAsync($"text {length}", string.Concat(Enumerable.Repeat("€\"", length / 4)) + new string('x', length % 4));
            await _kv.PutAsync($"bytes {length}", Enumerable.Repeat((byte)0xFE, length).ToArray());
        }

        using var copy = KvNamespace.Create("COPY");
        (await KvBulk.ImportAsync(copy, await Export())).Imported.Should().Be(8);

        await foreach (var key in _kv.ListAllAsync())
        {
            var expected = (await _kv.GetBytesAsync(key.Name))!.Value;
            (await copy.GetBytesAsync(key.Name))!.Value.Span.SequenceEqual(expected.Span).Should().BeTrue(key.Name);
        }
    }

    [Fact]
    public async Task A_large_value_is_never_handed_to_the_stream_as_a_whole()
    {
        await _kv.PutAsync("large", new string('\n', 4_000_000));
        var stream = new PieceStream([], 1);

        await KvBulk.ExportAsync(_kv, stream);

        stream.LongestWrite.Should().BeLessThan(1_000_000);
    }

    private async Task<MemoryStream> Export()
    {
        var file = new MemoryStream();
        await KvBulk.ExportAsync(_kv, file);
        file.Position = 0;
        return file;
    }

    private Task<KvBulkResult> Import(byte[] file) => KvBulk.ImportAsync(_kv, new MemoryStream(file)).AsTask();

    /// <summary>Hands out so many bytes at a time, and remembers how many it was given.</summary>
    private sealed class PieceStream(byte[] content, int pieceBytes) : Stream
    {
        private int _position;

        public Action<int>? OnRead { get; init; }

        public int LongestWrite { get; private set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            OnRead?.Invoke(_position);
            var count = Math.Min(Math.Min(pieceBytes, buffer.Length), content.Length - _position);
            content.AsSpan(_position, count).CopyTo(buffer.Span);
            _position += count;
            return new(count);
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            LongestWrite = Math.Max(LongestWrite, buffer.Length);
            return default;
        }

        public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public override void Flush() => throw new NotSupportedException("Synchronous.");

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Synchronous.");

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("Synchronous.");

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
