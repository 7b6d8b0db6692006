using FsCheck;
using FsCheck.Fluent;
using KvStore.TestKit.Persistence;

namespace KvStore.Tests.Writes;

/// <summary>
/// Calls with one key and with many, small values, large ones and streams: one thread makes them all before it waits for any. The last
/// call of a key wins, and its last entry, as if each had been awaited.
/// </summary>
public sealed class ManyCallOrderTests
{
    private enum Kind
    {
        Put,
        PutLarge,
        PutStream,
        Delete,
        PutMany,
        DeleteMany,
    }

    [Fact]
    public void Any_calls_of_one_thread_end_as_if_each_had_been_awaited()
    {
        var call =
            from kind in Gen.Elements(Enum.GetValues<Kind>())
            from keys in Gen.ListOf(Gen.Choose(0, 4))
            from seed in Gen.Choose(0, 1000)
            select new Call(kind, [.. keys.DefaultIfEmpty()], seed);
        var cases =
            from calls in Gen.ListOf(call)
            from place in Gen.Elements("memory", "immediate", "buffered", "regions", "limited")
            select (Calls: calls.ToArray(), Where: place);

        Prop.ForAll(Arb.From(cases, Shorter), given => EndsInOrder(given.Calls, given.Where)).Check(Config.QuickThrowOnFailure.WithMaxTest(300));
    }

    private static IEnumerable<(Call[] Calls, string Where)> Shorter((Call[] Calls, string Where) given)
    {
        for (var i = 0; i < given.Calls.Length; i++)
        {
            yield return ([.. given.Calls[..i], .. given.Calls[(i + 1)..]], given.Where);
        }
    }

    private static bool EndsInOrder(Call[] calls, string where)
    {
        using var disk = new SimulatedDisk();
        var expected = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var (actual, recovered) = RunAsync(calls, where, disk, expected).GetAwaiter().GetResult();
        return actual.SequenceEqual(expected) && (recovered is null || recovered.SequenceEqual(expected));
    }

    private static async Task<(SortedDictionary<string, string> Actual, SortedDictionary<string, string>? Recovered)> RunAsync(
        Call[] calls, string where, SimulatedDisk disk, SortedDictionary<string, string> expected)
    {
        var options = new KvNamespaceOptions
        {
            Persistence = where is "immediate" or "buffered" ? On(disk, where == "immediate" ? Durability.Immediate : Durability.Buffered) : null,
            Replication = where == "regions" ? new KvReplicationOptions { Regions = ["jnb", "lhr"], Lag = KvLag.Fixed(TimeSpan.FromSeconds(1)) } : null,
            Limits = where == "limited" ? new KvLimits { NamespaceKeysMax = 1000 } : new KvLimits(),
        };
        SortedDictionary<string, string> actual;
        await using (var kv = await KvNamespace.OpenAsync("KV", options))
        {
            var tasks = calls.Select((call, number) => Make(kv, call, number, expected)).ToArray();
            await Task.WhenAll(tasks).WaitAsync(TimeSpan.FromSeconds(60));
            actual = await StateAsync(kv);
        }

        if (options.Persistence is null)
        {
            return (actual, null);
        }

        await using var again = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions { Persistence = On(SimulatedDisk.With(disk.Files), Durability.Immediate) });
        return (actual, await StateAsync(again));
    }

    // Makes the call, and does the same to the model.
    private static Task Make(KvNamespace kv, Call call, int number, SortedDictionary<string, string> model)
    {
        switch (call.Kind)
        {
            case Kind.Delete:
                model.Remove(Key(call.Keys[0]));
                return kv.DeleteAsync(Key(call.Keys[0])).AsTask();
            case Kind.DeleteMany:
                Array.ForEach(call.Keys, key => model.Remove(Key(key)));
                return kv.DeleteManyAsync([.. call.Keys.Select(Key)]).AsTask();
            case Kind.PutMany:
                var entries = call.Keys.Select((key, i) =>
                    new KvEntry(Key(key), Content((call.Seed + i) % 5 == 0 ? Kind.PutStream : (call.Seed + i) % 7 == 0 ? Kind.PutLarge : Kind.Put, Text(number, i)))).ToArray();
                for (var i = 0; i < call.Keys.Length; i++)
                {
                    model[Key(call.Keys[i])] = Text(number, i);
                }

                return kv.PutManyAsync(entries).AsTask();
            default:
                model[Key(call.Keys[0])] = Text(number, 0);
                return kv.PutAsync(Key(call.Keys[0]), Content(call.Kind, Text(number, 0))).AsTask();
        }
    }

    private static KvContent Content(Kind kind, string text) => kind switch
    {
        Kind.PutStream => new MemoryStream(System.Text.Encoding.UTF8.GetBytes(text)),
        Kind.PutLarge => text.PadRight(2000, ' '),
        _ => text,
    };

    private static string Key(int key) => FormattableString.Invariant($"k{key}");

    private static string Text(int number, int entry) => FormattableString.Invariant($"{number}.{entry}");

    private static async Task<SortedDictionary<string, string>> StateAsync(KvNamespace kv)
    {
        var state = new SortedDictionary<string, string>(StringComparer.Ordinal);
        await foreach (var (key, value) in kv.ScanAsync())
        {
            state.Add(key, value.GetText()!.TrimEnd());
        }

        return state;
    }

    private static FilePersistence On(SimulatedDisk disk, Durability durability) =>
        new("disk", new FilePersistenceOptions { Durability = durability, LargeValueBytes = 1024 }, _ => disk);

    private sealed record Call(Kind Kind, int[] Keys, int Seed)
    {
        public override string ToString() => $"{Kind} {string.Join(' ', Keys)} ({Seed})";
    }
}
