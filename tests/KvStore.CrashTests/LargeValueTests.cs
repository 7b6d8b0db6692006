using System.IO.Pipelines;
using System.Text;

namespace KvStore.CrashTests;

/// <summary>Large values of a namespace: kept in files, read as streams, removed when nobody needs them.</summary>
public sealed class LargeValueTests : IAsyncLifetime, IDisposable
{
    private const int ThresholdBytes = 1024;

    private static readonly byte[] s_large = [.. Enumerable.Range(0, 200_000).Select(i => (byte)('a' + (i % 26)))];

    private readonly SimulatedDisk _disk = new();
    private readonly FakeTimeProvider _time = new();
    private KvNamespace _kv = null!;

    public async Task InitializeAsync() => await OpenAsync();

    public async Task DisposeAsync() => await _kv.DisposeAsync();

    public void Dispose() => _disk.Dispose();

    private string[] ValueFiles => [.. _disk.Files.Keys.Where(name => name.EndsWith(".value", StringComparison.Ordinal))];

    private async Task OpenAsync() => _kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions
    {
        Persistence = Stores.On(_disk, Stores.Small with { LargeValueBytes = ThresholdBytes }),
        TimeProvider = _time,
        Limits = new KvLimits { ExpirationTtlMin = TimeSpan.FromSeconds(1), ValueBytesMax = 1_000_000 },
    });

    private async Task ReopenAsync()
    {
        await _kv.DisposeAsync();
        await OpenAsync();
    }

    public static TheoryData<string> Contents => ["text", "bytes", "stream", "unseekable stream", "pipe"];

    private static KvContent Content(string kind, byte[] bytes) => kind switch
    {
        "text" => Encoding.UTF8.GetString(bytes),
        "bytes" => bytes,
        "stream" => new MemoryStream(bytes),
        "unseekable stream" => PipeReader.Create(new MemoryStream(bytes)).AsStream(),
        _ => PipeReader.Create(new MemoryStream(bytes)),
    };

    [Theory]
    [MemberData(nameof(Contents))]
    public async Task A_large_value_is_kept_in_a_file_however_it_comes_and_read_in_every_way(string kind)
    {
        await _kv.PutAsync("k", Content(kind, s_large), new KvPutOptions { Metadata = KvMetadata.FromJson("[1]") });

        for (var opened = 0; opened < 2; opened++)
        {
            ValueFiles.Should().ContainSingle();
            var text = Encoding.UTF8.GetString(s_large);
            (await _kv.GetTextAsync("k")).Should().Be(text);
            (await _kv.GetBytesAsync("k"))!.Value.Span.SequenceEqual(s_large).Should().BeTrue();
            (await ReadAsync(await _kv.GetStreamAsync("k"))).Should().Equal(s_large);
            (await _kv.GetTextAsync(["k", "none"])).Should().Equal(new Dictionary<string, string?> { ["k"] = text, ["none"] = null });
            var value = await _kv.GetAsync("k");
            value.IsLarge.Should().BeTrue();
            value.Length.Should().Be(s_large.Length);
            value.Metadata.ToString().Should().Be("[1]");
            value.GetText().Should().Be(text);
            value.GetBytes().Span.SequenceEqual(s_large).Should().BeTrue();
            (await value.ReadBytesAsync()).Span.SequenceEqual(s_large).Should().BeTrue();
            _kv.TryGet("k"u8, out value).Should().BeTrue();
            value.Length.Should().Be(s_large.Length);
            (await _kv.GetManyAsync(["k"]))["k"].GetBytes().Length.Should().Be(s_large.Length);
            (await _kv.ListAsync()).Keys.Single().Metadata.ToString().Should().Be("[1]");
            await ReopenAsync();
        }
    }

    [Theory]
    [MemberData(nameof(Contents))]
    public async Task A_value_below_the_threshold_is_kept_in_memory_and_one_at_it_is_not(string kind)
    {
        await _kv.PutAsync("below", Content(kind, s_large[..(ThresholdBytes - 1)]));
        ValueFiles.Should().BeEmpty();
        (await _kv.GetAsync("below")).IsLarge.Should().BeFalse();

        await _kv.PutAsync("at", Content(kind, s_large[..ThresholdBytes]));
        ValueFiles.Should().ContainSingle();
        (await _kv.GetAsync("at")).IsLarge.Should().BeTrue();
    }

    [Fact]
    public async Task Large_json_is_read_as_json()
    {
        var numbers = Enumerable.Range(0, 5000).ToArray();
        await _kv.PutJsonAsync("k", numbers);

        (await _kv.GetJsonAsync<int[]>("k")).Should().Equal(numbers);
        (await _kv.GetJsonAsync<int[]>(["k"]))["k"].Should().Equal(numbers);
    }

    [Theory]
    [MemberData(nameof(Contents))]
    public async Task Large_value_that_is_too_long_is_refused_and_leaves_no_file(string kind)
    {
        var put = async () => await _kv.PutAsync("k", Content(kind, new byte[1_000_001]));

        (await put.Should().ThrowAsync<KvException>()).Which.StatusCode.Should().Be(413);
        ValueFiles.Should().BeEmpty();
        _kv.TryGet("k", out _).Should().BeFalse();
    }

    [Fact]
    public async Task Large_value_whose_stream_fails_in_the_middle_is_refused_and_leaves_no_file()
    {
        var pipe = new Pipe();
        var put = _kv.PutAsync("k", pipe.Reader).AsTask();
        await pipe.Writer.WriteAsync(s_large);

        // Taken from the pipe only when what came before has been written.
        await pipe.Writer.WriteAsync(s_large);
        ValueFiles.Should().ContainSingle("it is written as it comes");
        await pipe.Writer.CompleteAsync(new IOException("the upload broke off"));

        (await ((Func<Task>)(() => put)).Should().ThrowAsync<IOException>()).WithMessage("the upload broke off");
        ValueFiles.Should().BeEmpty();
    }

    [Fact]
    public async Task Large_value_being_written_at_closing_is_refused_and_leaves_no_file()
    {
        var pipe = new Pipe(new PipeOptions(pauseWriterThreshold: 1, resumeWriterThreshold: 1));
        var put = _kv.PutAsync("k", pipe.Reader).AsTask();
        await pipe.Writer.WriteAsync(s_large);

        // Taken from the pipe only when what came before has been written; and of itself there is not enough to be written. A put
        // that met the closed directory now already would not read on, and the pipe would keep its writer waiting.
        await pipe.Writer.WriteAsync("x"u8.ToArray());
        ValueFiles.Should().ContainSingle();

        await _kv.DisposeAsync();

        ValueFiles.Should().BeEmpty("nobody may come back to finish it");
        _ = new FaultyDisk(_disk, "flush directory", 1, "the directory was removed", isForGood: true);
        await pipe.Writer.WriteAsync(s_large);
        await pipe.Writer.CompleteAsync();
        await ((Func<Task>)(() => put)).Should().ThrowAsync<ObjectDisposedException>();
        ValueFiles.Should().BeEmpty();
    }

    [Fact]
    public async Task Value_that_becomes_large_after_closing_creates_no_file()
    {
        var pipe = new Pipe();
        var put = _kv.PutAsync("late", pipe.Reader).AsTask();
        await pipe.Writer.WriteAsync(s_large.AsMemory(0, ThresholdBytes / 2));
        await _kv.DisposeAsync();
        await OpenAsync();
        await _kv.PutAsync("k", s_large);

        await pipe.Writer.WriteAsync(s_large);
        await pipe.Writer.CompleteAsync();

        await ((Func<Task>)(() => put)).Should().ThrowAsync<ObjectDisposedException>();
        ValueFiles.Should().ContainSingle();
        await ReopenAsync();
        (await _kv.GetBytesAsync("k"))!.Value.Span.SequenceEqual(s_large).Should().BeTrue();
        (await _kv.GetAsync("late")).Exists.Should().BeFalse();
    }

    [Theory]
    [InlineData("overwritten")]
    [InlineData("overwritten by another")]
    [InlineData("deleted")]
    [InlineData("expired")]
    public async Task File_of_a_large_value_that_is_not_needed_any_more_is_removed(string how)
    {
        await _kv.PutAsync("k", s_large, new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(100) });
        var file = ValueFiles.Single();

        switch (how)
        {
            case "overwritten":
                await _kv.PutAsync("k", "short");
                break;
            case "overwritten by another":
                await _kv.PutAsync("k", s_large[..5000]);
                break;
            case "deleted":
                await _kv.DeleteAsync("k");
                break;
            default:
                _time.Advance(TimeSpan.FromSeconds(100));
                _kv.TryGet("k", out _).Should().BeFalse();
                _time.Advance(TimeSpan.FromSeconds(1));
                break;
        }

        // Removed in the background, after a flush; closing waits for that.
        await _kv.DisposeAsync();
        ValueFiles.Should().NotContain(file).And.HaveCount(how == "overwritten by another" ? 1 : 0);
    }

    [Fact]
    public async Task Reader_of_a_large_value_reads_on_whatever_happens_to_its_key()
    {
        await _kv.PutAsync("k", s_large);
        var view = await _kv.GetAsync("k");
        await using var stream = (await _kv.GetStreamAsync("k"))!;
        var half = new byte[100_000];
        await stream.ReadExactlyAsync(half);

        await _kv.PutAsync("k", "short");
        await _kv.CompactAsync();

        (await ReadAsync(stream)).Should().Equal(s_large[100_000..]);
        view.GetBytes().Span.SequenceEqual(s_large).Should().BeTrue();
        (await _kv.GetTextAsync("k")).Should().Be("short");
    }

    [Fact]
    public async Task Readers_and_writers_of_one_key_never_see_a_mixture()
    {
        var values = Enumerable.Range(0, 4).Select(i => Enumerable.Repeat((byte)('0' + i), i % 2 == 0 ? 500 : 5000).ToArray()).ToArray();
        await _kv.PutAsync("k", values[0]);
        using var stop = new CancellationTokenSource();
        var readers = Enumerable.Range(0, 2).Select(reader => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                var bytes = reader == 0 ? (await _kv.GetBytesAsync("k"))!.Value.ToArray() : await ReadAsync(await _kv.GetStreamAsync("k"));
                values.Should().Contain(value => value.SequenceEqual(bytes));
            }
        })).ToArray();

        for (var i = 0; i < 1500; i++)
        {
            await _kv.PutAsync("k", values[i % values.Length]);
        }

        await stop.CancelAsync();
        await Task.WhenAll(readers);
        await _kv.PutAsync("k", "short");
        await _kv.DisposeAsync();
        ValueFiles.Length.Should().BeLessThan(3, "only what is still held by a view that nobody disposed may be left");
    }

    [Fact]
    public async Task Large_value_in_a_snapshot_and_in_the_log_after_it_keeps_its_file()
    {
        await _kv.PutAsync("before", "x");
        var puts = 0;
        _disk.BeforeStep = (operation, name) =>
        {
            // The log before has ended, and the live entries have not been asked for yet.
            if (operation == "create" && name.Contains("snapshot", StringComparison.Ordinal) && puts++ == 0)
            {
                _kv.PutAsync("k", s_large).AsTask().Wait();
            }
        };
        await _kv.CompactAsync();
        puts.Should().Be(1);
        _disk.BeforeStep = null;

        for (var opened = 0; opened < 3; opened++)
        {
            await ReopenAsync();
            (await _kv.GetBytesAsync("k"))!.Value.Span.SequenceEqual(s_large).Should().BeTrue();
        }
    }

    [Fact]
    public async Task A_damaged_file_is_an_error_of_the_read_and_never_wrong_data()
    {
        await _kv.PutAsync("k", s_large);
        await _kv.DisposeAsync();
        var files = _disk.Files.ToDictionary(file => file.Key, file => file.Value.ToArray());
        files[ValueFiles.Single()][100_000] ^= 1;
        await using var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions { Persistence = Stores.On(SimulatedDisk.With(files)) });

        var read = async () => await kv.GetBytesAsync("k");

        (await read.Should().ThrowAsync<KvDamagedFileException>()).WithMessage("*value*");
    }

    [Fact]
    public async Task An_export_and_an_import_carry_large_values()
    {
        await _kv.PutAsync("text", Encoding.UTF8.GetString(s_large));
        await _kv.PutAsync("binary", s_large.Select(b => (byte)(b | 0x80)).ToArray());
        using var file = new MemoryStream();
        await KvBulk.ExportAsync(_kv, file);
        file.Position = 0;
        await using var other = KvNamespace.Create("OTHER");

        (await KvBulk.ImportAsync(other, file)).ErrorCount.Should().Be(0);

        (await other.GetBytesAsync("text"))!.Value.Span.SequenceEqual(s_large).Should().BeTrue();
        (await other.GetBytesAsync("binary"))!.Value.Length.Should().Be(s_large.Length);
    }

    private static async Task<byte[]> ReadAsync(Stream? stream)
    {
        await using (stream)
        {
            using var all = new MemoryStream();
            await stream!.CopyToAsync(all);
            return all.ToArray();
        }
    }
}
