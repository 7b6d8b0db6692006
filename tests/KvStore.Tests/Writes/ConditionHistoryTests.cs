using System.Diagnostics;

namespace KvStore.Tests.Writes;

/// <summary>
/// Conditional writes by many threads are linearizable. The revisions of a key order its writes, so a history is checked without a search:
/// the condition of each write that was made must hold for the write before it, and what a refused write or a read has found must have stood
/// at some moment of the call.
/// </summary>
public sealed class ConditionHistoryTests : IDisposable
{
    private const int Keys = 3;
    private const int Threads = 8;

    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-history-").FullName;

    private enum Kind
    {
        Put,
        Delete,
        Refused,
        Read,
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData(null, false, 2000)]
    [InlineData(null, true, 1000)]
    [InlineData(Durability.Immediate, false, 150)]
    [InlineData(Durability.Immediate, true, 100)]
    [InlineData(Durability.Interval, false, 1000)]
    [InlineData(Durability.Buffered, false, 1000)]
    public async Task Conditional_writes_by_many_threads_are_linearizable(Durability? durability, bool isLimited, int each)
    {
        await using var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions
        {
            Limits = isLimited ? new KvLimits { NamespaceKeysMax = 1000 } : new KvLimits(),
            Persistence = durability is { } promised
                ? new FilePersistence(_directory, new FilePersistenceOptions { Durability = promised, LogFileBytes = 64 * 1024, CompactionBytesMin = 128 * 1024, LargeValueBytes = 1024 })
                : null,
        });
        var histories = await Task.WhenAll(Enumerable.Range(0, Threads).Select(thread => Task.Run(async () =>
        {
            var random = new Random((each * 31) + thread);
            var history = new List<Call>();
            for (var i = 0; i < each; i++)
            {
                history.Add(await CallAsync(kv, random));
            }

            return history;
        })));

        for (var key = 0; key < Keys; key++)
        {
            var calls = histories.SelectMany(history => history).Where(call => call.Key == key).ToArray();
            calls.Count(call => call.Kind == Kind.Put).Should().BeGreaterThan(10);
            Check(calls);
        }
    }

    [Fact]
    public void A_history_that_is_not_linearizable_is_noticed()
    {
        Call[] lostUpdate =
        [
            new(0, Kind.Put, KvCondition.Absent, 5, 0, 1), new(0, Kind.Put, KvCondition.Revision(5), 6, 2, 3), new(0, Kind.Put, KvCondition.Revision(5), 7, 2, 4),
        ];
        Call[] staleRead = [new(0, Kind.Put, KvCondition.Absent, 5, 0, 1), new(0, Kind.Put, KvCondition.Present, 6, 2, 3), new(0, Kind.Read, default, 5, 4, 5)];
        Call[] backwards = [new(0, Kind.Put, KvCondition.Absent, 6, 0, 1), new(0, Kind.Delete, KvCondition.Present, 5, 2, 3)];
        foreach (var history in new[] { lostUpdate, staleRead, backwards })
        {
            var act = () => Check(history);
            act.Should().Throw<InvalidOperationException>();
        }
    }

    private static async Task<Call> CallAsync(KvNamespace kv, Random random)
    {
        var key = random.Next(Keys);
        var name = $"k{key}";
        var seen = random.Next(3) == 0 ? 0 : (await kv.GetAsync(name)).Revision;
        var condition = random.Next(5) switch { 0 => KvCondition.Absent, 1 => KvCondition.Present, _ => KvCondition.Revision(seen) };
        var begun = Stopwatch.GetTimestamp();
        if (random.Next(10) == 0)
        {
            return new Call(key, Kind.Read, default, (await kv.GetAsync(name)).Revision, begun, Stopwatch.GetTimestamp());
        }

        var isDelete = random.Next(5) == 0;
        KvContent content = random.Next(10) switch { 0 => new MemoryStream(new byte[1500]), 1 => new byte[1500], 2 => new MemoryStream([1]), _ => "v" };
        var result = isDelete ? await kv.TryDeleteAsync(name, condition) : await kv.TryPutAsync(name, content, condition);
        var kind = !result.Succeeded ? Kind.Refused : !isDelete ? Kind.Put : result.Revision == 0 ? Kind.Read : Kind.Delete;
        return new Call(key, kind, condition, result.Revision, begun, Stopwatch.GetTimestamp());
    }

    private static void Check(IReadOnlyList<Call> calls)
    {
        // The writes in the order of their revisions; before the first the key is absent.
        var writes = calls.Where(call => call.Kind is Kind.Put or Kind.Delete).OrderBy(call => call.Revision).ToArray();
        var standing = 0L;
        var latestBegin = long.MinValue;
        for (var i = 0; i < writes.Length; i++)
        {
            Expect(i == 0 || writes[i].Revision != writes[i - 1].Revision, "two writes have one revision");
            Expect(writes[i].Condition.HoldsFor(standing), "a condition did not hold for the write before it");
            Expect(writes[i].Ended > latestBegin, "a write that had ended before another began has a higher revision");
            latestBegin = Math.Max(latestBegin, writes[i].Begun);
            standing = writes[i].Kind == Kind.Put ? writes[i].Revision : 0;
        }

        // When each state stood at the earliest and at the latest. An absent key stood after each delete, and at the beginning.
        foreach (var call in calls.Where(call => call.Kind is Kind.Refused or Kind.Read))
        {
            Expect(call.Kind == Kind.Read || !call.Condition.HoldsFor(call.Revision), "a write was refused though its condition held");
            Expect(States(call.Revision).Any(state => state.Earliest < call.Ended && call.Begun < state.Latest), "a call has found what did not stand meanwhile");
        }

        IEnumerable<(long Earliest, long Latest)> States(long revision)
        {
            for (var i = -1; i < writes.Length; i++)
            {
                var its = i >= 0 && writes[i].Kind == Kind.Put ? writes[i].Revision : 0;
                if (its == revision)
                {
                    yield return (i < 0 ? long.MinValue : writes[i].Begun, i + 1 < writes.Length ? writes[i + 1].Ended : long.MaxValue);
                }
            }
        }

        static void Expect(bool condition, string violation)
        {
            if (!condition)
            {
                throw new InvalidOperationException($"Not linearizable: {violation}.");
            }
        }
    }

    private readonly record struct Call(int Key, Kind Kind, KvCondition Condition, long Revision, long Begun, long Ended);
}
