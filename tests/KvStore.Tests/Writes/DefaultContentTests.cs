using System.IO.Pipelines;

namespace KvStore.Tests.Writes;

/// <summary>The default value of <see cref="KvContent"/> is a forgotten argument; an empty text or array is a value.</summary>
public sealed class DefaultContentTests
{
    [Fact]
    public async Task Default_content_is_refused_in_every_namespace_and_changes_nothing()
    {
        await using var plain = KvNamespace.Create("KV");
        await using var replicated = KvNamespace.Create("KV", new KvNamespaceOptions { Replication = new KvReplicationOptions { Regions = ["jnb", "lhr"] } });
        foreach (var kv in new[] { plain, replicated, replicated.InRegion("lhr") })
        {
            await kv.PutAsync("k", "old");

            await kv.Invoking(k => k.PutAsync("k", default).AsTask()).Should().ThrowAsync<ArgumentException>()
                .WithMessage("The content is default(KvContent)*").WithParameterName("content");
            await kv.Invoking(k => k.PutAsync("k", new KvContent(), new KvPutOptions { ExpirationTtl = TimeSpan.FromHours(1) }).AsTask())
                .Should().ThrowAsync<ArgumentException>().WithParameterName("content");

            (await kv.GetTextAsync("k")).Should().Be("old");
        }
    }

    [Fact]
    public async Task Empty_value_of_every_kind_is_stored()
    {
        await using var kv = KvNamespace.Create("KV");
        KvContent[] empty =
        [
            "", Array.Empty<byte>(), ReadOnlyMemory<byte>.Empty, Memory<byte>.Empty, default(ReadOnlyMemory<byte>), new MemoryStream(),
            KvContent.FromBytes(ReadOnlyMemory<byte>.Empty), PipeReader.Create(new MemoryStream()),
        ];
        foreach (var content in empty)
        {
            await kv.DeleteAsync("k");
            await kv.PutAsync("k", content);

            var value = await kv.GetAsync("k");
            (value.Exists, value.Length).Should().Be((true, 0));
        }
    }
}
