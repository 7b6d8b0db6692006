using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization;
using KvStore.Rules;

namespace KvStore.Tests.Texts;

/// <summary>Messages that are not the binding's: they name the operation, the namespace and the key.</summary>
public sealed class MessageTests
{
    [Fact]
    public async Task Watch_of_a_key_or_prefix_that_is_too_long_is_called_a_watch()
    {
        await using var kv = KvNamespace.Create("KV");
        var tooLong = new string('k', 513);

        foreach (var options in new KvWatchOptions[] { new() { Key = tooLong }, new() { Prefix = tooLong } })
        {
            var watch = async () => await kv.WatchAsync(options).GetAsyncEnumerator().MoveNextAsync();

            (await watch.Should().ThrowAsync<KvException>()).Which.Operation.Should().Be("WATCH");
        }
    }

    [Fact]
    public async Task Bad_cursor_is_the_fault_of_a_list()
    {
        await using var kv = KvNamespace.Create("KV");

        var refusal = (await kv.Invoking(k => k.ListAsync(new KvListOptions { Cursor = "junk" }).AsTask()).Should().ThrowAsync<KvException>()).Which;

        refusal.Operation.Should().Be("LIST");
        refusal.Message.Should().StartWith("KV LIST failed: 400 Invalid cursor.");
    }

    [Fact]
    public async Task Json_that_a_type_does_not_fit_is_distinguished_from_invalid_json()
    {
        await using var kv = KvNamespace.Create("PREFERENCES");
        await kv.PutAsync("a\nkey", """{"secret":"x"}""");
        await kv.PutAsync("text", "no json");

        var mismatch = (await kv.Invoking(k => k.GetJsonAsync<int>(["a\nkey", "missing"]).AsTask()).Should().ThrowAsync<KvException>()).Which;
        var noJson = (await kv.Invoking(k => k.GetJsonAsync<int>(["a\nkey", "text"]).AsTask()).Should().ThrowAsync<KvException>()).Which;

        mismatch.Message.Should().Be("KV GET_BULK failed: 400 The value of the key \"a\\u000Akey\" in the namespace \"PREFERENCES\" is JSON, but not a System.Int32.");
        noJson.Message.Should().Be("KV GET_BULK failed: 400 At least one of the requested keys corresponds to a non-json value");
    }

    [Fact]
    public async Task Json_that_cannot_be_read_names_operation_key_and_namespace()
    {
        await using var kv = KvNamespace.Create("PREFERENCES", new KvNamespaceOptions { Replication = new KvReplicationOptions { Regions = ["jnb", "lhr"] } });
        await using var plain = KvNamespace.Create("PREFERENCES");
        foreach (var store in new IKvNamespace[] { kv, kv.InRegion("jnb"), plain, new Forwarding(plain) })
        {
            await store.PutAsync("a\nkey", "{\"secret\":", new KvPutOptions { Metadata = KvMetadata.FromJson("\"text\"") });
            var entry = new KvTypedEntry<int, int>(store, "a\nkey", new KvTypedShape<int, int>(NumberFormat, NumberFormat, ttlSeconds: 0));
            var entries = new KvTypedEntries<int, int>(store, "a", static _ => true, new KvTypedShape<int, int>(NumberFormat, NumberFormat, ttlSeconds: 0));

            Func<Task>[] reads =
            [
                () => store.GetJsonAsync<int>("a\nkey").AsTask(),
                () => store.GetJsonAsync("a\nkey", NumberJson.Default.Int32).AsTask(),
                () => entry.GetAsync().AsTask(),
                async () => await entries.ScanAsync().ToListAsync(),
            ];
            foreach (var read in reads)
            {
                (await read.Should().ThrowAsync<JsonException>()).Which.Message
                    .Should().StartWith("GET of the key \"a\\u000Akey\" in the namespace \"PREFERENCES\": the value is not JSON, or does not fit System.Int32. It breaks in line 1, at byte ");
            }

            await store.PutAsync("a\nkey", "1", new KvPutOptions { Metadata = KvMetadata.FromJson("\"text\"") });
            var list = async () => await entries.ListAsync().ToListAsync();
            (await list.Should().ThrowAsync<JsonException>()).Which.Message
                .Should().StartWith("LIST of the key \"a\\u000Akey\" in the namespace \"PREFERENCES\": the metadata does not fit System.Int32.");
        }
    }

    [Fact]
    public async Task Put_that_cannot_be_stored_names_operation_key_and_namespace()
    {
        await using var kv = KvNamespace.Create("PREFERENCES");
        const string Names = "Nothing was stored by PUT of the key \"a\\u000Akey\" in the namespace \"PREFERENCES\".";
        var late = new KvPutOptions { Expiration = DateTimeOffset.FromUnixTimeSeconds(5_000_000_000) };
        var longLived = new KvPutOptions { ExpirationTtl = TimeSpan.FromDays(365 * 200) };
        Func<Task>[] puts =
        [
            () => kv.PutAsync("a\nkey", default).AsTask(),
            () => kv.PutAsync("a\nkey", "v", late).AsTask(),
            () => kv.PutAsync("a\nkey", "v", longLived).AsTask(),
            () => kv.PutAsync("a\nkey", new MemoryStream([1]), longLived).AsTask(),
            () => kv.PutJsonAsync("a\nkey", 1, late).AsTask(),
        ];
        foreach (var put in puts)
        {
            (await put.Should().ThrowAsync<ArgumentException>()).Which.Message.Should().Contain(Names);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Write_that_the_disk_refuses_names_operation_key_and_namespace(bool waits)
    {
        await using var kv = await KvNamespace.OpenAsync("PREFERENCES", new KvNamespaceOptions { Persistence = new FailingPersistence(waits) });
        await using var stream = new MemoryStream([1, 2]);

        var put = (await kv.Invoking(k => k.PutAsync("a\nkey", "v").AsTask()).Should().ThrowAsync<KvPersistenceException>()).Which;
        var streamed = (await kv.Invoking(k => k.PutAsync("a\nkey", stream).AsTask()).Should().ThrowAsync<KvPersistenceException>()).Which;
        var large = (await kv.Invoking(k => k.PutAsync("a\nkey", new string('v', 100)).AsTask()).Should().ThrowAsync<KvPersistenceException>()).Which;
        var delete = (await kv.Invoking(k => k.DeleteAsync("kept").AsTask()).Should().ThrowAsync<KvPersistenceException>()).Which;

        foreach (var failure in new[] { put, streamed, large })
        {
            failure.Message.Should().Be("PUT of the key \"a\\u000Akey\" in the namespace \"PREFERENCES\": The disk has failed.");
        }

        delete.Message.Should().Be("DELETE of the key \"kept\" in the namespace \"PREFERENCES\": The disk has failed.");
        put.InnerException.Should().BeOfType<IOException>();
    }

    [Fact]
    public async Task Disposed_namespace_is_named_by_every_operation()
    {
        var kv = KvNamespace.Create("SETTINGS", new KvNamespaceOptions { Replication = new KvReplicationOptions { Regions = ["jnb", "lhr"] } });
        var lhr = kv.InRegion("lhr");
        await kv.DisposeAsync();

        foreach (var closed in new[] { kv, lhr })
        {
            Func<Task>[] late =
            [
                () => closed.GetAsync("k").AsTask(),
                () => closed.GetTextAsync("k").AsTask(),
                () => closed.GetJsonAsync<int>("k").AsTask(),
                () => closed.GetManyAsync(["k"]).AsTask(),
                () => closed.PutAsync("k", "v").AsTask(),
                () => closed.PutAsync("k", new MemoryStream()).AsTask(),
                () => closed.DeleteAsync("k").AsTask(),
                () => closed.ListAsync().AsTask(),
            ];
            foreach (var call in late)
            {
                await call.Should().ThrowAsync<ObjectDisposedException>().WithMessage("The namespace \"SETTINGS\" was disposed.*");
            }
        }
    }

    [Fact]
    public async Task Disposed_namespace_is_named_by_its_maintenance()
    {
        var kv = KvNamespace.Create("SETTINGS");
        await kv.DisposeAsync();

        Func<Task>[] late = [() => kv.ReopenAsync().AsTask(), () => kv.FlushAsync().AsTask(), () => kv.CompactAsync().AsTask(), () => kv.SnapshotAsync("elsewhere").AsTask()];
        foreach (var call in late)
        {
            await call.Should().ThrowAsync<ObjectDisposedException>().WithMessage("The namespace \"SETTINGS\" was disposed.*");
        }
    }

    private static KvTypedFormat<int> NumberFormat => KvTypedFormat.Json<int>(NumberJson.Default);

    [Theory]
    [InlineData("plain", "\"plain\"")]
    [InlineData("", "\"\"")]
    [InlineData("line\nbreak\0", "\"line\\u000Abreak\\u0000\"")]
    [InlineData("quote\"back\\slash", "\"quote\\\"back\\\\slash\"")]
    [InlineData("turned\u202Eround", "\"turned\\u202Eround\"")]
    [InlineData("grün 😀", "\"grün 😀\"")]
    public void Quoted_key_is_visible_and_on_one_line(string key, string quoted) => VisibleKey.Quote(key).Should().Be(quoted);

    [Fact]
    public void Half_a_character_in_a_quoted_key_is_escaped() => VisibleKey.Quote("half\uD800").Should().Be("\"half\\uD800\"");

    [Fact]
    public void Quoted_key_is_shortened() =>
        VisibleKey.Quote(new string('k', 512)).Should().Be($"\"{new string('k', 64)}…\" (448 more characters)");
}

[JsonSerializable(typeof(int))]
internal sealed partial class NumberJson : JsonSerializerContext;

/// <summary>A namespace that is not of this library.</summary>
internal sealed class Forwarding(IKvNamespace kv) : IKvNamespace
{
    public string Name => kv.Name;

    public ValueTask<KvValue> GetAsync(string key, KvGetOptions? options = null, CancellationToken cancellationToken = default) => kv.GetAsync(key, options, cancellationToken);

    public ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options = null, CancellationToken cancellationToken = default) => kv.GetManyAsync(keys, options, cancellationToken);

    public ValueTask PutAsync(string key, KvContent content, KvPutOptions? options = null, CancellationToken cancellationToken = default) =>
        kv.PutAsync(key, content, options, cancellationToken);

    public ValueTask DeleteAsync(string key, CancellationToken cancellationToken = default) => kv.DeleteAsync(key, cancellationToken);

    public ValueTask<KvListPage> ListAsync(KvListOptions? options = null, CancellationToken cancellationToken = default) => kv.ListAsync(options, cancellationToken);
}

/// <summary>Takes nothing, at once or later. Has one key.</summary>
internal sealed class FailingPersistence(bool waits) : IKvPersistence, IKvLargeValues
{
    public KvPersistenceHealth Health => KvPersistenceHealth.Healthy;

    public IKvLargeValues? LargeValues => this;

    public int ThresholdBytes => 100;

    public ValueTask<KvRecovery> OpenAsync(IKvPersistenceHost host, CancellationToken cancellationToken = default)
    {
        host.Recover(new KvMutation { Key = "kept"u8.ToArray(), Value = "v"u8.ToArray(), Revision = 1 });
        return new(new KvRecovery { HighestRevision = 1, Mutations = 1 });
    }

    public ValueTask AppendAsync(in KvMutation mutation, CancellationToken cancellationToken = default) => Fail();

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => default;

    public ValueTask CompactAsync(CancellationToken cancellationToken = default) => default;

    public ValueTask SnapshotAsync(string directory, CancellationToken cancellationToken = default) => default;

    public ValueTask DisposeAsync() => default;

    public KvLargeValueWriter Create() => throw Failure();

    public bool TryOpen(KvValueReference reference, [NotNullWhen(true)] out KvLargeValue? value)
    {
        value = null;
        return false;
    }

    public void Release(KvValueReference reference)
    {
    }

    private static KvPersistenceException Failure() => new("The disk has failed.", new IOException("of the disk"));

    private async ValueTask Fail()
    {
        if (waits)
        {
            await Task.Yield();
        }

        throw Failure();
    }
}
