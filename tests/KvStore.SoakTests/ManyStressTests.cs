using System.Globalization;
using Xunit.Abstractions;

namespace KvStore.SoakTests;

/// <summary>Deletes of a prefix, and scans, beside writers, deletes, readers and the background work.</summary>
public sealed class ManyStressTests(ITestOutputHelper output)
{
    private const int Keys = 20_000;
    private const int Writers = 2;

    private static readonly int s_rounds =
        int.TryParse(Environment.GetEnvironmentVariable("KVSTORE_STRESS_ROUNDS"), NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n : 6;

    public static TheoryData<string> Kinds => ["memory", "disk"];

    // A writer owns its keys and puts rising numbers. What it put before a delete began, and did not put again, must go; what it put
    // after the delete had begun must stay.
    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Prefix_delete_beside_writers_takes_what_is_older_and_leaves_what_is_newer(string kind)
    {
        using var directory = new Scratch();
        await using var kv = await OpenAsync(kind, directory);
        await kv.PutManyAsync([.. Enumerable.Range(0, 500).Select(i => new KvEntry($"other:{i}", "stays"))]);
        var kept = 0;
        for (var round = 0; round < s_rounds; round++)
        {
            await kv.PutManyAsync([.. Enumerable.Range(0, Keys).Select(i => new KvEntry($"key:{i:D5}", "old"))]);
            var written = new bool[Keys];
            using var hasBegun = new ManualResetEventSlim();
            var seed = round;
            var writers = Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
            {
                var random = new Random((seed * 10) + writer);
                hasBegun.Wait();
                for (var i = 0; i < 2000; i++)
                {
                    var key = (random.Next(Keys / Writers) * Writers) + writer;
                    await kv.PutAsync($"key:{key:D5}", $"new {round}");
                    written[key] = true;
                }
            })).ToArray();
            var reader = Task.Run(async () =>
            {
                hasBegun.Wait();
                for (var i = 0; i < 20_000; i++)
                {
                    var text = await kv.GetTextAsync($"key:{i * 7919 % Keys:D5}");
                    (text is null or "old" || text == $"new {round}").Should().BeTrue();
                    (await kv.GetTextAsync($"other:{i % 500}")).Should().Be("stays");
                }
            });

            // The call has its place in the order of the revisions when it returns.
            var delete = kv.DeletePrefixAsync("key:").AsTask();
            hasBegun.Set();
            var deleted = await delete.WaitAsync(TimeSpan.FromMinutes(2));
            await Task.WhenAll([.. writers, reader]).WaitAsync(TimeSpan.FromMinutes(2));

            deleted.Should().BeInRange(Keys - written.Count(isWritten => isWritten), Keys);
            for (var i = 0; i < Keys; i++)
            {
                (await kv.GetTextAsync($"key:{i:D5}")).Should().Be(written[i] ? $"new {round}" : null);
            }

            kept += written.Count(isWritten => isWritten);
            (await kv.DeletePrefixAsync("key:")).Should().Be(written.Count(isWritten => isWritten));
        }

        kv.Count.Should().Be(500);
        output.WriteLine($"{kept} entries written beside {s_rounds} deletes");
    }

    // Stable keys are shown once by every scan, in order, with a value that the key has had, and never an older one than a scan before.
    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Scan_beside_overwrites_and_deletes_shows_stable_keys_once_and_nothing_old(string kind)
    {
        using var directory = new Scratch();
        await using var kv = await OpenAsync(kind, directory);
        const int Stable = 3000;
        await kv.PutManyAsync([.. Enumerable.Range(0, Stable).Select(i => new KvEntry($"{i:D5}", Value(i, 0)))]);
        using var over = new CancellationTokenSource();
        var hasOverwritten = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var overwriter = Task.Run(async () =>
        {
            for (var number = 1; !over.IsCancellationRequested; number++)
            {
                await kv.PutManyAsync([.. Enumerable.Range(0, Stable).Where(i => i % 3 == number % 3).Select(i => new KvEntry($"{i:D5}", Value(i, number)))]);
                hasOverwritten.TrySetResult();
            }
        });
        var coming = Task.Run(async () =>
        {
            for (var number = 0; !over.IsCancellationRequested; number++)
            {
                await kv.PutManyAsync([.. Enumerable.Range(0, 500).Select(i => new KvEntry($"{i * 6:D5} comes", Value(i, number)))]);
                await kv.DeleteManyAsync([.. Enumerable.Range(0, 500).Select(i => $"{i * 6:D5} comes")]);
            }
        });

        var seen = new int[Stable];
        await Task.WhenAny(hasOverwritten.Task, overwriter).WaitAsync(TimeSpan.FromMinutes(2));
        try
        {
            for (var scan = 0; scan < s_rounds * 4; scan++)
            {
                var stable = 0;
                string? last = null;
                await foreach (var (key, value) in kv.ScanAsync())
                {
                    string.CompareOrdinal(last, key).Should().BeNegative();
                    last = key;
                    var parts = value.GetText()!.Split(' ');
                    var index = int.Parse(parts[0], CultureInfo.InvariantCulture);
                    parts[2].Should().HaveLength(200 + (index % 300));
                    if (!key.EndsWith("comes", StringComparison.Ordinal))
                    {
                        key.Should().Be($"{index:D5}");
                        index.Should().Be(stable++);
                        var number = int.Parse(parts[1], CultureInfo.InvariantCulture);
                        number.Should().BeGreaterThanOrEqualTo(seen[index]);
                        seen[index] = number;
                    }
                }

                stable.Should().Be(Stable);
            }
        }
        finally
        {
            await over.CancelAsync();
            await Task.WhenAll(overwriter, coming).WaitAsync(TimeSpan.FromMinutes(2));
        }

        seen.Should().Contain(number => number > 0, "entries were overwritten");

        static string Value(int index, int number) => FormattableString.Invariant($"{index} {number} {new string('v', 200 + (index % 300))}");
    }

    private static ValueTask<KvNamespace> OpenAsync(string kind, Scratch directory) => KvNamespace.OpenAsync("KV", new KvNamespaceOptions
    {
        Persistence = kind == "memory" ? null : new FilePersistence(directory.Path, new FilePersistenceOptions { LogFileBytes = 1 << 20, CompactionBytesMin = 4 << 20 }),
    });

    private sealed class Scratch : IDisposable
    {
        public string Path { get; } = Directory.CreateTempSubdirectory("kvstore-many-").FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
