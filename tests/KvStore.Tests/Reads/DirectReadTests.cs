using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using System.Text;
using KvStore.Diagnostics;

namespace KvStore.Tests.Reads;

/// <summary>The short way of a read, by the system's clock, finds what the long way finds.</summary>
[Collection(AloneCollection.Name)]
public sealed class DirectReadTests : IAsyncDisposable
{
    private readonly string _name = $"KV_{Guid.NewGuid():N}";
    private readonly KvNamespace _kv;

    public DirectReadTests() => _kv = KvNamespace.Create(_name);

    public ValueTask DisposeAsync() => _kv.DisposeAsync();

    [Fact]
    public async Task Keys_of_every_length_are_found_as_text_and_as_bytes_and_nothing_like_them_is()
    {
        for (var length = 1; length <= 512; length++)
        {
            await _kv.PutAsync(KeyOf(length), $"value {length}");
        }

        for (var length = 1; length <= 512; length++)
        {
            var key = KeyOf(length);
            var expected = $"value {length}";
            _kv.TryGet(key, out var value).Should().BeTrue();
            value.GetText().Should().Be(expected);
            _kv.TryGet(Encoding.UTF8.GetBytes(key), out value).Should().BeTrue();
            value.GetText().Should().Be(expected);
            (await _kv.GetTextAsync(key)).Should().Be(expected);
            Encoding.UTF8.GetString((await _kv.GetBytesAsync(key))!.Value.Span).Should().Be(expected);
            (await _kv.GetAsync(key)).GetText().Should().Be(expected);
            (await _kv.GetManyAsync([key]))[key].GetText().Should().Be(expected);

            foreach (var at in new[] { 0, length / 2, length - 1 })
            {
                var other = key[..at] + '~' + key[(at + 1)..];
                _kv.TryGet(other, out _).Should().BeFalse();
                (await _kv.GetBytesAsync(other)).Should().BeNull();
            }
        }
    }

    // Narrowed to bytes the way ASCII is, each of these would be another key that exists.
    [Theory]
    [InlineData("sixteen-and-more-é", "sixteen-and-more-\u00C3\u00A9")]
    [InlineData("sixteen-and-more-\0!", "sixteen-and-more-\u8000!")]
    [InlineData("eight-up-é", "eight-up-\u00C3\u00A9")]
    [InlineData("eight-up-\0", "eight-up-\uFFFD")]
    public async Task A_key_beyond_ASCII_is_never_taken_for_the_bytes_it_could_be_narrowed_to(string stored, string asked)
    {
        await _kv.PutAsync(stored, "v");

        _kv.TryGet(stored, out _).Should().BeTrue();
        _kv.TryGet(asked, out _).Should().BeFalse();
        (await _kv.GetTextAsync(asked)).Should().BeNull();
        (await _kv.GetBytesAsync(asked)).Should().BeNull();
    }

    [Fact]
    public async Task A_namespace_with_shorter_keys_refuses_longer_ones_on_the_short_way_too()
    {
        await using var kv = KvNamespace.Create("SHORT", new KvNamespaceOptions { Limits = new KvLimits { KeyBytesMax = 20 } });
        await kv.PutAsync("exactly-twenty-chars", "v");

        kv.TryGet("exactly-twenty-chars", out _).Should().BeTrue();
        kv.Invoking(ns => ns.TryGet("one-more-than-twenty!", out _)).Should().Throw<KvException>().Where(e => e.StatusCode == 414);
    }

    [Fact]
    public async Task Listener_sees_reads_after_the_next_operation_that_is_no_read()
    {
        await _kv.PutAsync("a-key-of-sixteen", "v");
        _kv.TryGet("a-key-of-sixteen", out _).Should().BeTrue();
        using var listener = Listen(out var heard);

        await _kv.PutAsync("a-key-of-sixteen", "v");
        _kv.TryGet("a-key-of-sixteen", out _);
        await _kv.GetAsync("a-key-of-sixteen");
        await _kv.GetTextAsync("a-key-of-sixteen");
        await _kv.GetBytesAsync("a-key-of-sixteen");

        heard().Should().Be(5);
    }

    [Fact]
    public async Task Listener_of_the_library_sees_the_very_next_read()
    {
        await _kv.PutAsync("a-key-of-sixteen", "v");
        using var listener = Listen(out var heard);

        KvMetrics.NoticeObservers();
        _kv.TryGet("a-key-of-sixteen", out _);

        heard().Should().Be(1);
    }

    [Fact]
    public async Task A_namespace_that_is_disposed_is_not_read_on_the_short_way()
    {
        await _kv.PutAsync("a-key-of-sixteen", "v");
        await _kv.DisposeAsync();
        KvMetrics.NoticeObservers();

        _kv.Invoking(kv => kv.TryGet("a-key-of-sixteen", out _)).Should().Throw<ObjectDisposedException>();
        await _kv.Invoking(kv => kv.GetTextAsync("a-key-of-sixteen").AsTask()).Should().ThrowAsync<ObjectDisposedException>();
        await _kv.Invoking(kv => kv.GetBytesAsync("a-key-of-sixteen").AsTask()).Should().ThrowAsync<ObjectDisposedException>();
    }

    [Fact]
    public void A_value_is_handed_over_in_two_registers()
    {
        Unsafe.SizeOf<KvValue>().Should().Be(2 * sizeof(ulong));
    }

    private MeterListener Listen(out Func<long> heard)
    {
        var count = 0L;
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter.Name == KvDiagnostics.MeterName && instrument.Name == "kvstore.requests")
                {
                    self.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>((_, value, tags, _) =>
        {
            foreach (var tag in tags)
            {
                if (tag.Key == "db.namespace" && Equals(tag.Value, _name))
                {
                    Interlocked.Add(ref count, value);
                }
            }
        });
        listener.Start();
        heard = () => Interlocked.Read(ref count);
        return listener;
    }

    private static string KeyOf(int length) => new([.. Enumerable.Range(0, length).Select(i => (char)('a' + (i * 7 + length) % 26))]);
}
