namespace KvStore.Tests.Reads;

/// <summary>An entry that a scan shows: its key is in the record of its value until it is asked for.</summary>
public sealed class ScanEntryTests : IAsyncDisposable
{
    private readonly KvNamespace _kv = KvNamespace.Create("KV");

    public ValueTask DisposeAsync() => _kv.DisposeAsync();

    [Theory]
    [InlineData("k")]
    [InlineData("a key of more than sixteen characters")]
    [InlineData("schlüssel/\U0001F511")]
    public async Task Key_stays_whatever_becomes_of_the_entry(string key)
    {
        await _kv.PutAsync(key, "v", new KvPutOptions { Metadata = KvMetadata.FromJson("7") });
        var entry = (await _kv.ScanAsync().ToListAsync()).Single();

        await _kv.PutAsync(key, "another");
        await _kv.DeleteAsync(key);
        await _kv.DisposeAsync();

        entry.Key.Should().Be(key);
        entry.Value.GetText().Should().Be("v");
        var (deconstructed, value) = entry;
        deconstructed.Should().Be(key);
        value.Metadata.ToString().Should().Be("7");
        entry.ToString().Should().Contain(key);
    }

    [Fact]
    public async Task Changed_copy_keeps_what_was_not_changed()
    {
        await _kv.PutManyAsync([new("a", "1"), new("b", "2")]);
        var entries = await _kv.ScanAsync().ToListAsync();

        var renamed = entries[0] with { Key = "c" };
        var replaced = entries[0] with { Value = entries[1].Value };

        (renamed.Key, renamed.Value.GetText()).Should().Be(("c", "1"));
        (replaced.Key, replaced.Value.GetText()).Should().Be(("a", "2"));
        (entries[0].Key, entries[0].Value.GetText()).Should().Be(("a", "1"));
        new KvScanEntry { Value = entries[1].Value, Key = "d" }.Key.Should().Be("d");
        default(KvScanEntry).Key.Should().BeNull();
        default(KvScanEntry).Value.Exists.Should().BeFalse();
    }

    [Fact]
    public async Task Entries_are_equal_by_key_and_value()
    {
        await _kv.PutManyAsync([new("a", "1"), new("b", "2")]);
        var entries = await _kv.ScanAsync().ToListAsync();
        var same = new KvScanEntry("a", entries[0].Value);

        same.Should().Be(entries[0]);
        same.GetHashCode().Should().Be(entries[0].GetHashCode());
        (same == entries[0]).Should().BeTrue();
        (same == entries[1]).Should().BeFalse();
        (same == new KvScanEntry("b", entries[0].Value)).Should().BeFalse();
        (same == new KvScanEntry("a", entries[1].Value)).Should().BeFalse();
    }

    [Fact]
    public async Task Scan_allocates_nothing_for_an_entry_whose_key_is_not_asked_for()
    {
        const int Entries = 10_000;
        await _kv.PutManyAsync([.. Enumerable.Range(0, Entries).Select(i => new KvEntry($"key:{i:D6}", "value"))]);
        _ = await CountBytesAsync();

        // A scan of memory does not wait, so this thread does all of it.
        var before = GC.GetAllocatedBytesForCurrentThread();
        var bytes = await CountBytesAsync();
        (GC.GetAllocatedBytesForCurrentThread() - before).Should().BeLessThan(Entries);
        bytes.Should().Be(Entries * "value".Length);

        async ValueTask<long> CountBytesAsync()
        {
            var bytes = 0L;
            await foreach (var entry in _kv.ScanAsync("key:"))
            {
                bytes += entry.Value.GetBytes().Length;
            }

            return bytes;
        }
    }
}
