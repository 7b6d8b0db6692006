using System.Globalization;
using System.Text;
using KvStore.Tests.Vectors;

namespace KvStore.Tests.Texts;

/// <summary>Messages are the same in Sweden, Saudi Arabia, Iran and Turkey, whose minus signs, calendars and letters differ.</summary>
public sealed class CultureTests
{
    public static TheoryData<string> Cultures => ["sv-SE", "ar-SA", "fa-IR", "tr-TR"];

    [Theory]
    [MemberData(nameof(Cultures))]
    public void Culture_is_there_and_differs(string name)
    {
        // Without the data of cultures all of them are the invariant one, and the tests below would prove nothing.
        var culture = CultureInfo.GetCultureInfo(name);
        var invariant = CultureInfo.InvariantCulture;
        var differs = culture.NumberFormat.NegativeSign != invariant.NumberFormat.NegativeSign
            || culture.Calendar.GetType() != invariant.Calendar.GetType()
            || culture.TextInfo.ToUpper('i') != 'I';

        differs.Should().BeTrue("the tests need the data of cultures; on Debian: apt-get install libicu72 (or the libicu of the release)");
    }

    [Theory]
    [MemberData(nameof(Cultures))]
    public async Task Every_recorded_error_reads_as_recorded(string name)
    {
        await UnderAsync(name, async () =>
        {
            foreach (var scenario in Scenario.Expressible.Where(scenario => scenario.Operations.Any(operation => operation.GetRawText().Contains("\"error\"", StringComparison.Ordinal))))
            {
                var time = new FakeTimeProvider(scenario.Start);
                await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = time });
                var answers = DeliberateDifference.All.SingleOrDefault(difference => difference.Id == scenario.Id)?.Answers;
                await new ScenarioRunner(kv, time, scenario).ReplayAsync(answers);
            }
        });
    }

    [Theory]
    [MemberData(nameof(Cultures))]
    public async Task Messages_are_those_of_the_invariant_culture(string name)
    {
        var expected = new List<string>();
        await UnderAsync("", async () => expected.AddRange(await MessagesAsync()));
        var actual = new List<string>();
        await UnderAsync(name, async () => actual.AddRange(await MessagesAsync()));

        actual.Should().Equal(expected);
        expected.Should().Contain(message => message.Contains("-5", StringComparison.Ordinal));
    }

    private static async Task UnderAsync(string name, Func<Task> action)
    {
        var before = CultureInfo.CurrentCulture;
        CultureInfo.CurrentCulture = CultureInfo.GetCultureInfo(name);
        try
        {
            await action();
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    // What is refused with numbers, dates and names in it, one of each kind.
    private static async Task<List<string>> MessagesAsync()
    {
        var time = new FakeTimeProvider();
        await using var kv = KvNamespace.Create("KV", new KvNamespaceOptions
        {
            TimeProvider = time,
            Limits = new KvLimits { NamespaceKeysMax = 1 },
            Replication = new KvReplicationOptions { Regions = ["jnb", "lhr"] },
        });
        await kv.PutAsync("only", "{\"a\":-1.5}");
        var early = new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(-100_000));
        await using var before1970 = KvNamespace.Create("KV", new KvNamespaceOptions { TimeProvider = early });
        Func<Task>[] wrong =
        [
            () => kv.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(-5) }).AsTask(),
            () => kv.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(5) }).AsTask(),
            () => kv.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.MaxValue }).AsTask(),
            () => kv.PutAsync("k", "v", new KvPutOptions { Expiration = DateTimeOffset.MinValue }).AsTask(),
            () => kv.PutAsync("k", "v", new KvPutOptions { Expiration = DateTimeOffset.MaxValue }).AsTask(),
            () => kv.PutAsync("k", "v", new KvPutOptions { Expiration = time.GetUtcNow().AddSeconds(5) }).AsTask(),
            () => before1970.PutAsync("k", "v", new KvPutOptions { ExpirationTtl = TimeSpan.FromSeconds(60) }).AsTask(),
            () => kv.PutAsync("second", "v").AsTask(),
            () => kv.PutAsync("k", new byte[26_214_401]).AsTask(),
            () => kv.PutAsync("k", "v", new KvPutOptions { Metadata = KvMetadata.From(new string('m', 2000)) }).AsTask(),
            () => kv.GetAsync("k", new KvGetOptions { CacheTtl = TimeSpan.FromSeconds(-5) }).AsTask(),
            () => kv.GetAsync("k", new KvGetOptions { CacheTtl = TimeSpan.MinValue }).AsTask(),
            () => kv.GetAsync(new string('k', 1000)).AsTask(),
            () => kv.GetManyAsync([.. Enumerable.Range(0, 101).Select(i => $"k{i}")]).AsTask(),
            () => kv.GetJsonAsync<int[]>(["only"]).AsTask(),
            () => kv.ListAsync(new KvListOptions { Limit = 1001 }).AsTask(),
            () => kv.ListAsync(new KvListOptions { Cursor = "junk" }).AsTask(),
            () => kv.DeleteAsync("").AsTask(),
            () => KvBulk.ImportAsync(kv, new MemoryStream("[{},"u8.ToArray())).AsTask(),
            () => Refuse(() => new KvLimits { KeyBytesMax = -5 }),
            () => Refuse(() => new KvLimits { ValueBytesMax = -5 }),
            () => Refuse(() => new KvLimits { CacheTtlMin = TimeSpan.FromSeconds(-5) }),
            () => Refuse(() => new KvLimits { GetManyBytesMax = -5 }),
            () => Refuse(() => new KvLimits { ExpirationTtlMin = TimeSpan.FromSeconds(-1.5) }),
            () => Task.Run(() => KvLag.Uniform(TimeSpan.FromSeconds(-5.5), TimeSpan.FromSeconds(1))),
            () => Task.Run(() => KvLag.Fixed(TimeSpan.FromSeconds(-5.5))),
        ];
        var messages = new List<string>();
        foreach (var act in wrong)
        {
            messages.Add((await act.Should().ThrowAsync<Exception>()).Which.Message);
        }

        var file = """[{"key":"k","value":"v","expiration_ttl":-5},{"key":"k","value":"v","expiration":-5},{"key":1,"value":"v"}]""";
        var result = await KvBulk.ImportAsync(kv, new MemoryStream(Encoding.UTF8.GetBytes(file)));
        messages.AddRange(result.Errors.Select(error => error.Reason));
        return messages;

        static Task Refuse(Func<KvLimits> limits)
        {
            KvNamespace.Create("KV", new KvNamespaceOptions { Limits = limits() }).Dispose();
            return Task.CompletedTask;
        }
    }
}
