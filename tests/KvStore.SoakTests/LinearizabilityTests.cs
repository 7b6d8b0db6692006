using System.Globalization;
using System.Text;
using static KvStore.SoakTests.History;

namespace KvStore.SoakTests;

/// <summary>
/// Several writers and readers of one key, while the namespace around it grows, expires and is cleaned: whatever they saw, one
/// caller alone could have seen. <c>KVSTORE_LINEARIZABILITY_ROUNDS</c> says how often; 1,000 times by default.
/// </summary>
public sealed class LinearizabilityTests
{
    private const int Callers = 4;
    private const int CallsEach = CallsMax / Callers;

    private static readonly int s_rounds = int.TryParse(
        Environment.GetEnvironmentVariable("KVSTORE_LINEARIZABILITY_ROUNDS"), NumberStyles.None, CultureInfo.InvariantCulture, out var given)
        ? given
        : 1_000;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Calls_on_one_key_happen_one_after_the_other(bool persists)
    {
        var directory = Directory.CreateTempSubdirectory("kvstore-linearizable-").FullName;
        try
        {
            await using var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions
            {
                Limits = new KvLimits { ExpirationTtlMin = TimeSpan.FromSeconds(1) },
                Persistence = persists ? new FilePersistence(directory) : null,
            });
            using var stop = new CancellationTokenSource();
            var others = Task.Run(() => ChurnAsync(kv, stop.Token));
            try
            {
                for (var round = 0; round < (persists ? s_rounds / 10 : s_rounds); round++)
                {
                    var history = await RunAsync(kv, $"key {round}", round);
                    history.IsLinearizable().Should().BeTrue("in round {0} this happened:\n{1}", round, history);
                }
            }
            finally
            {
                await stop.CancelAsync();
                await others;
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public void A_read_of_a_value_that_was_replaced_before_it_began_is_found_out()
    {
        Is(new Call(Kind.Put, 1, 1, 2), new Call(Kind.Put, 2, 3, 4), new Call(Kind.Get, 1, 5, 6)).Should().BeFalse();
        Is(new Call(Kind.Put, 1, 1, 2), new Call(Kind.Put, 2, 3, 6), new Call(Kind.Get, 1, 4, 5)).Should().BeTrue();
    }

    [Fact]
    public void Two_reads_that_disagree_about_the_order_of_two_puts_are_found_out()
    {
        Call[] puts = [new(Kind.Put, 1, 1, 10), new(Kind.Put, 2, 2, 11)];

        Is([.. puts, new Call(Kind.Get, 1, 3, 4), new Call(Kind.Get, 2, 5, 6)]).Should().BeTrue();
        Is([.. puts, new Call(Kind.Get, 1, 3, 4), new Call(Kind.Get, 2, 5, 6), new Call(Kind.Get, 1, 7, 8)]).Should().BeFalse();
    }

    [Fact]
    public void A_value_that_comes_back_after_a_delete_is_found_out()
    {
        Call[] calls = [new(Kind.Put, 1, 1, 2), new(Kind.Delete, 0, 3, 4)];

        Is([.. calls, new Call(Kind.Get, 0, 5, 6)]).Should().BeTrue();
        Is([.. calls, new Call(Kind.Get, 1, 5, 6)]).Should().BeFalse();
        Is([.. calls, new Call(Kind.Get, 7, 5, 6)]).Should().BeFalse("that was never written");
    }

    private static bool Is(params Call[] calls)
    {
        var history = new History();
        history.Add(calls);
        return history.IsLinearizable();
    }

    private static async Task<History> RunAsync(KvNamespace kv, string key, int seed)
    {
        var clock = 0L;
        using var start = new Barrier(Callers);
        var callers = Enumerable.Range(0, Callers).Select(caller => Task.Factory.StartNew(
            async () =>
            {
                var random = new Random((seed * Callers) + caller);
                var calls = new List<Call>(CallsEach);
                start.SignalAndWait();
                for (var i = 0; i < CallsEach; i++)
                {
                    var kind = random.Next(5) switch { < 2 => Kind.Put, 2 => Kind.Delete, _ => Kind.Get };
                    var value = kind == Kind.Put ? (caller * CallsEach) + i + 1 : 0;
                    var begun = Interlocked.Increment(ref clock);
                    switch (kind)
                    {
                        case Kind.Put:
                            await kv.PutAsync(key, $"{value}");
                            break;
                        case Kind.Delete:
                            await kv.DeleteAsync(key);
                            break;
                        default:
                            value = kv.TryGet(key, out var seen) ? int.Parse(Encoding.ASCII.GetString(seen.GetBytes().Span), CultureInfo.InvariantCulture) : 0;
                            break;
                    }

                    calls.Add(new Call(kind, value, begun, Interlocked.Increment(ref clock)));
                }

                return calls;
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default).Unwrap()).ToArray();
        var history = new History();
        foreach (var calls in await Task.WhenAll(callers))
        {
            history.Add(calls);
        }

        return history;
    }

    // Enough for tables to grow, segments to be cleaned and entries to expire all the time.
    private static async Task ChurnAsync(KvNamespace kv, CancellationToken stop)
    {
        var random = new Random(1);
        var value = new byte[2000];
        var shortLived = new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(1) };
        for (var i = 0; !stop.IsCancellationRequested; i++)
        {
            await kv.PutAsync($"other {random.Next(20_000)}", value, i % 4 == 0 ? shortLived : null, CancellationToken.None);
            if (i % 3 == 0)
            {
                await kv.DeleteAsync($"other {random.Next(20_000)}", CancellationToken.None);
            }
        }
    }
}
