using System.Net;
using System.Text;

namespace KvStore.AspNetCore.Tests;

[CollectionDefinition(nameof(LoadTests), DisableParallelization = true)]
public sealed class AloneCollection;

/// <summary>Many clients at once. Runs while nothing else does, since it looks at the memory of the process.</summary>
[Collection(nameof(LoadTests))]
public sealed class LoadTests : ApiTest
{
    private const int MiB = 1024 * 1024;

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-load-").FullName;

    public override async Task DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task Five_thousand_concurrent_puts_and_then_gets_are_all_answered()
    {
        const int count = 5000;
        var puts = Enumerable.Range(0, count).Select(i => Api.PutAsync($"{Path}/values/key%3A{i}", $"value {i}"));
        (await Task.WhenAll(puts)).Should().OnlyContain(answer => answer.Status == HttpStatusCode.OK);

        var gets = Enumerable.Range(0, count).Select(async i => (i, Answer: await Api.GetAsync($"{Path}/values/key%3A{i}")));
        (await Task.WhenAll(gets)).Should().OnlyContain(got => got.Answer.Text == $"value {got.i}");
        Kv.Count.Should().Be(count);
    }

    [Fact]
    public async Task Memory_stays_bounded_while_50_clients_upload_25_MiB_each()
    {
        const int clients = 50;
        const int length = 25 * MiB;
        var begun = 0;
        var allBegun = new TaskCompletionSource();
        GC.Collect();
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var highest = 0L;

        var uploads = Enumerable.Range(0, clients).Select(i => Api.SendAsync(HttpMethod.Put, $"{Path}/values/large{i}", new Endless(length, async sent =>
        {
            if (sent == length / 2)
            {
                // All of them are half-way at one moment.
                if (Interlocked.Increment(ref begun) == clients)
                {
                    highest = GC.GetTotalMemory(forceFullCollection: true);
                    allBegun.SetResult();
                }

                await allBegun.Task;
            }
        })));
        (await Task.WhenAll(uploads)).Should().OnlyContain(answer => answer.Status == HttpStatusCode.OK);

        // Half of 50 values of 25 MiB would be 625 MiB; what is held is a few chunks of each.
        ((highest - before) / MiB).Should().BeLessThan(200);
        ((GC.GetTotalMemory(forceFullCollection: true) - before) / MiB).Should().BeLessThan(200);
        (await Kv.GetAsync("large49")).Length.Should().Be(length);
    }

    [Theory]
    [InlineData(99, 1_000_000)]
    [InlineData(10_000, 9_900)]
    public async Task Memory_stays_bounded_while_a_bulk_put_of_100_MB_comes_in(int pairs, int valueBytes)
    {
        var before = GC.GetTotalMemory(forceFullCollection: true) - Kv.MemoryBytes;
        var highest = 0L;

        var answer = await Api.SendAsync(HttpMethod.Put, $"{Path}/bulk", new Pairs(pairs, valueBytes, i =>
        {
            if (i % (pairs / 9) == 0)
            {
                // Small values stay in the memory of the namespace, where they belong; what the request holds is beside them.
                highest = Math.Max(highest, GC.GetTotalMemory(forceFullCollection: true) - Kv.MemoryBytes - before);
            }
        }));

        answer.Status.Should().Be(HttpStatusCode.OK, answer.Text);
        answer.Result.GetProperty("successful_key_count").GetInt32().Should().Be(pairs);
        Kv.Count.Should().Be(pairs);
        (await Kv.GetAsync($"key {pairs - 1}")).Length.Should().Be(valueBytes);
        (highest / MiB).Should().BeLessThan(25, "a quarter of what is sent; an entry or two are under way, and buffers");
    }

    protected override KvCatalogOptions Options() => new()
    {
        Directory = _directory,
        Persistence = new FilePersistenceOptions { Durability = Durability.Buffered },
    };

    // A file of pairs that is made as it is sent.
    private sealed class Pairs(int count, int valueBytes, Action<int> onSent) : HttpContent
    {
        private readonly byte[] _value = [.. Enumerable.Repeat((byte)'v', valueBytes)];

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            for (var i = 0; i < count; i++)
            {
                await stream.WriteAsync(Encoding.ASCII.GetBytes($"{(i == 0 ? '[' : ',')}{{\"key\":\"key {i}\",\"value\":\""));
                await stream.WriteAsync(_value);
                await stream.WriteAsync("\"}"u8.ToArray());
                onSent(i);
            }

            await stream.WriteAsync("]"u8.ToArray());
        }

        // Unknown before it is made, so it goes in chunks.
        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }

    // A body that is made as it is sent, and held by nobody.
    private sealed class Endless(int length, Func<int, ValueTask> onSent) : HttpContent
    {
        private static readonly byte[] s_part = new byte[64 * 1024];

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            for (var sent = 0; sent < length; sent += s_part.Length)
            {
                await onSent(sent);
                await stream.WriteAsync(s_part);
            }
        }

        protected override bool TryComputeLength(out long bytes)
        {
            bytes = length;
            return true;
        }
    }
}
