using System.Globalization;
using System.Text.RegularExpressions;
using KvStore.PostgreSql.Connections;
using KvStore.PostgreSql.LargeValues;
using KvStore.PostgreSql.Schema;
using KvStore.PostgreSql.Sweeping;
using KvStore.PostgreSql.Writes;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Documents;

/// <summary>The sizes and times in docs/postgresql.md are those of the code.</summary>
public sealed partial class FigureTests
{
    private static readonly string s_document =
        Spaces().Replace(File.ReadAllText(Path.Combine(SourceTree.Root, "docs", "postgresql.md")), " ");

    private static readonly KvPostgreSqlOptions s_defaults = new();

    public static TheoryData<string> Sentences =>
    [
        // Connections.
        Of($"the feed gives it up after {Link.AnswerSecondsMax} s without an answer, the listener after {Notifications.HeartbeatSeconds + Notifications.AnswerSecondsMax} s, and a read of a large value after {Link.AnswerSecondsMax} s"),
        Of($"`Maximum Pool Size` must be at least {Prerequisites.ConnectionsMin(usesNotifications: true)} for each namespace. `UseNotifications = false` saves {Words[Prerequisites.ConnectionsMin(usesNotifications: true) - Prerequisites.ConnectionsMin(usesNotifications: false)]}"),
        Of($"`Host Recheck Seconds` ({new NpgsqlConnectionStringBuilder().HostRecheckSeconds} s)"),

        // Writes.
        Of($"wait up to `WriteTimeout` ({s_defaults.WriteTimeout.TotalSeconds} s)"),
        Of($"a write gives it up after a {Fractions[WriteLane.FirstAttemptShare]} of `WriteTimeout`"),
        Of($"From {ManyPuts.From} puts on"),
        Of($"in transactions of at most {WriteBacklog.WritesMax:N0} entries"),

        // Values and rows.
        Of($"A value of `LargeValueBytes` ({s_defaults.LargeValueBytes / 1024} KiB) or more"),
        Of($"in parts of {LargeValueStore.PartBytes / 1024} KiB"),
        Of($"A key has at most {Prerequisites.KeyBytesMax:N0} bytes (`KvLimits.KeyBytesMax`, by default {new KvLimits().KeyBytesMax})"),
        Of($"(`fillfactor` {FillFactor().Match(KvPostgreSql.Script()).Groups[1].Value})"),

        // Sweeping.
        Of($"Every `SweepInterval` ({s_defaults.SweepInterval.TotalSeconds} s)"),
        Of($"deletes that are older than {Sweeper.DeletesKept.Replace("1 ", "an ", StringComparison.Ordinal)}"),
        Of($"changes that are {(SchemaScript.Slots - Sweeper.SlotsAhead - 1) * SchemaScript.SlotSeconds / 60} minutes old or older"),
        Of($"After `StalenessMax` ({s_defaults.StalenessMax.TotalSeconds} s)"),

        // Settings: the defaults, and what is allowed.
        Of($"| `Schema` | `{s_defaults.Schema}` |"),
        Of($"| `CreateSchema` | `{Lower(s_defaults.CreateSchema)}` |"),
        Of($"| `PollInterval` | `00:00:00.{s_defaults.PollInterval.TotalMilliseconds}` | how often the process asks for the writes of others: 10 ms to 60 s |"),
        Of($"| `UseNotifications` | `{Lower(s_defaults.UseNotifications)}` |"),
        Of($"| `StalenessMax` | `{s_defaults.StalenessMax}` |"),
        Of($"| `WhenStale` | `{s_defaults.WhenStale}` |"),
        Of($"| `LargeValueBytes` | `{s_defaults.LargeValueBytes}` | values from this length on are read from the database each time, at least 1,024;"),
        Of($"| `WriteTimeout` | `{s_defaults.WriteTimeout}` |"),
        Of($"| `SweepInterval` | `{s_defaults.SweepInterval}` |"),
    ];

    // An option, the least and the greatest value that the table allows, and one beyond each.
    public static TheoryData<string, TimeSpan, TimeSpan, Func<TimeSpan, KvPostgreSqlOptions>> Ranges => new()
    {
        { "how often the process asks for the writes of others: 10 ms to 60 s", TimeSpan.FromMilliseconds(10), TimeSpan.FromSeconds(60), static value => new() { PollInterval = value } },
        { "before the health is degraded: 1 s to 365 days", TimeSpan.FromSeconds(1), TimeSpan.FromDays(365), static value => new() { StalenessMax = value } },
        { "cannot be reached: 1 s to 10 min", TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(10), static value => new() { WriteTimeout = value } },
        { "expired entries are removed: 1 s to 1 day", TimeSpan.FromSeconds(1), TimeSpan.FromDays(1), static value => new() { SweepInterval = value } },
    };

    private static Dictionary<int, string> Words => new() { [2] = "two" };

    private static Dictionary<int, string> Fractions => new() { [3] = "third" };

    [Theory]
    [MemberData(nameof(Sentences))]
    public void Figure_of_the_code_is_in_the_document(string sentence) => s_document.Should().Contain(sentence);

    [Theory]
    [MemberData(nameof(Ranges))]
    public void Range_of_an_option_is_the_one_in_the_document(string sentence, TimeSpan min, TimeSpan max, Func<TimeSpan, KvPostgreSqlOptions> with)
    {
        s_document.Should().Contain(sentence);
        foreach (var allowed in new[] { min, max })
        {
            with(allowed).Invoking(static options => options.Validate()).Should().NotThrow();
        }

        foreach (var refused in new[] { min - TimeSpan.FromTicks(1), max + TimeSpan.FromTicks(1) })
        {
            with(refused).Invoking(static options => options.Validate()).Should().Throw<ArgumentException>();
        }
    }

    [Fact]
    public void Bounds_of_other_options_are_those_in_the_document()
    {
        new KvPostgreSqlOptions { LargeValueBytes = 1024 }.Invoking(static options => options.Validate()).Should().NotThrow();
        new KvPostgreSqlOptions { LargeValueBytes = 1023 }.Invoking(static options => options.Validate()).Should().Throw<ArgumentException>();
        s_document.Should().Contain("lower-case letters, digits and underscores, at most 40;");
        new KvPostgreSqlOptions { Schema = new string('s', 40) }.Invoking(static options => options.Validate()).Should().NotThrow();
        new KvPostgreSqlOptions { Schema = new string('s', 41) }.Invoking(static options => options.Validate()).Should().Throw<ArgumentException>();
        s_document.Should().Contain("The server is PostgreSQL 13 or later.");
        ServerKind.Refusal("PostgreSQL", 129999, hasSnapshots: true).Should().NotBeNull();
        ServerKind.Refusal("PostgreSQL", 130000, hasSnapshots: true).Should().BeNull();
    }

    private static string Of(FormattableString sentence) => sentence.ToString(CultureInfo.InvariantCulture);

    private static string Lower(bool value) => value ? "true" : "false";

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();

    [GeneratedRegex(@"fillfactor = (\d+)")]
    private static partial Regex FillFactor();
}
