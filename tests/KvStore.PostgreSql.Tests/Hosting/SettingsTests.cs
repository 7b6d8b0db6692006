using KvStore.PostgreSql.Tests.Servers;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;

namespace KvStore.PostgreSql.Tests.Hosting;

/// <summary>The section <c>KvStore:{name}:PostgreSql</c> of the configuration.</summary>
public sealed class SettingsTests
{
    private const string Nowhere = "Host=127.0.0.1;Port=1;Username=app;Password=secret-word;Database=app;Timeout=1";

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Connection_string_and_schema_of_the_configuration_are_used()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var services = ServicesOf(
            kv => kv.UsePostgreSql(),
            ("ConnectionString", database),
            ("Schema", "other"),
            ("PollInterval", "00:00:00.050"));
        var kv = services.GetRequiredKeyedService<IKvExtendedNamespace>("KV");
        await kv.PutAsync("k", "v");

        (await PostgreSqlServer.ExecuteAsync(database, "SELECT convert_from(value, 'UTF8') FROM other.entries")).Should().Be("v");
    }

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Connection_string_of_the_configuration_overrides_that_of_code()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var services = ServicesOf(kv => kv.UsePostgreSql(Nowhere, new KvPostgreSqlOptions { Schema = "mine" }), ("ConnectionString", database));
        await services.GetRequiredKeyedService<IKvExtendedNamespace>("KV").PutAsync("k", "v");

        (await PostgreSqlServer.ExecuteAsync(database, "SELECT count(*) FROM mine.entries")).Should().Be(1L);
    }

    [RealPartFact(RealPart.PostgreSql)]
    public async Task Data_source_of_the_container_is_used_and_not_disposed()
    {
        var database = await (await PostgreSqlServer.Shared).CreateDatabaseAsync();
        await using var source = NpgsqlDataSource.Create(database);
        await using (var services = ServicesOf(kv => kv.UsePostgreSql(_ => source), ("WhenStale", "refuse")))
        {
            await services.GetRequiredKeyedService<IKvExtendedNamespace>("KV").PutAsync("k", "v");
        }

        await using var connection = await source.OpenConnectionAsync();
        connection.State.Should().Be(System.Data.ConnectionState.Open);
    }

    [Fact]
    public async Task Namespace_lives_in_memory_when_the_configuration_disables_the_database()
    {
        await using var services = ServicesOf(kv => kv.UsePostgreSql(Nowhere), ("Enabled", "false"));
        var kv = services.GetRequiredKeyedService<IKvExtendedNamespace>("KV");
        await kv.PutAsync("k", "v");
        (await kv.GetTextAsync("k")).Should().Be("v");
    }

    [Fact]
    public void Every_option_is_read()
    {
        var options = Read(
            ("Schema", "s2"),
            ("CreateSchema", "false"),
            ("PollInterval", "00:00:02"),
            ("UseNotifications", "False"),
            ("StalenessMax", "00:05:00"),
            ("WhenStale", "Refuse"),
            ("LargeValueBytes", "4096"),
            ("WriteTimeout", "00:00:03"),
            ("sweepinterval", "00:10:00"));

        options.Should().Be(new KvPostgreSqlOptions
        {
            Schema = "s2",
            CreateSchema = false,
            PollInterval = TimeSpan.FromSeconds(2),
            UseNotifications = false,
            StalenessMax = TimeSpan.FromMinutes(5),
            WhenStale = KvWhenStale.Refuse,
            LargeValueBytes = 4096,
            WriteTimeout = TimeSpan.FromSeconds(3),
            SweepInterval = TimeSpan.FromMinutes(10),
        });
        var names = typeof(KvPostgreSqlOptions).GetProperties().Select(property => property.Name);
        var unknown = () => Read(("None", "1"));
        foreach (var name in names)
        {
            unknown.Should().Throw<FormatException>().WithMessage($"*{name}*", "the section knows every option");
        }
    }

    [Theory]
    [InlineData("StalenessMx", "00:01:00", "KvStore:KV:PostgreSql:StalenessMx is no option. Options are: Enabled, ConnectionString, Schema, *")]
    [InlineData("StalenessMax", "60", "KvStore:KV:PostgreSql:StalenessMax cannot be read; it must be a span of time such as 00:01:00.")]
    [InlineData("WhenStale", "secret-word", "KvStore:KV:PostgreSql:WhenStale cannot be read; it must be Serve or Refuse.")]
    [InlineData("PollInterval", "00:02:00", "*PollInterval is 00:02:00; it must be 00:00:00.0100000 to 00:01:00. The configuration sets it in KvStore:KV:PostgreSql:PollInterval.")]
    [InlineData("ConnectionString", "Hist=secret-word", "*The connection string is not valid*The configuration sets it in KvStore:KV:PostgreSql:ConnectionString.")]
    [InlineData("", "secret-word", "KvStore:KV:PostgreSql is a section with settings of its own, but the configuration has a bare value for it.")]
    public void Setting_that_is_wrong_is_named_with_what_is_allowed(string name, string value, string expected)
    {
        using var services = ServicesOf(kv => kv.UsePostgreSql(Nowhere), (name, value));
        var open = () => services.GetRequiredKeyedService<IKvExtendedNamespace>("KV");

        var message = open.Should().Throw<OptionsValidationException>().Which.Message;
        message.Should().Match("KV namespace \"KV\": " + expected);
        message.Should().NotContain("secret-word");
    }

    [Fact]
    public void Section_of_a_namespace_that_is_not_in_the_database_says_what_to_call()
    {
        using var services = ServicesOf(static _ => { }, ("ConnectionString", Nowhere));
        var open = () => services.GetRequiredKeyedService<IKvExtendedNamespace>("KV");

        open.Should().Throw<OptionsValidationException>().WithMessage("*KvStore:KV:PostgreSql is read only*UsePostgreSql*").Which.Message.Should().NotContain("secret-word");
    }

    [Fact]
    public void Missing_connection_is_named_with_the_setting()
    {
        using var services = ServicesOf(kv => kv.UsePostgreSql());
        var open = () => services.GetRequiredKeyedService<IKvExtendedNamespace>("KV");

        open.Should().Throw<InvalidOperationException>().WithMessage("*\"KV\" has no connection to PostgreSQL*KvStore:KV:PostgreSql:ConnectionString*");
    }

    [Fact]
    public void Regions_of_the_configuration_are_refused()
    {
        using var services = ServicesOf(kv => kv.UsePostgreSql(Nowhere), (":Replication:Regions:0", "jnb"));
        var open = () => services.GetRequiredKeyedService<IKvExtendedNamespace>("KV");

        open.Should().Throw<OptionsValidationException>().WithMessage("*Replication and *Engine are both set*");
    }

    private static KvPostgreSqlOptions Read(params (string Name, string Value)[] settings)
    {
        var engine = new PostgreSqlEngine(() => NpgsqlDataSource.Create(Nowhere), ownsDataSource: true, new KvPostgreSqlOptions());
        var section = ConfigurationOf(settings).GetSection("KvStore:KV:PostgreSql");
        return ((PostgreSqlEngine)PostgreSqlSettings.Apply(section, new KvNamespaceOptions { Engine = engine }).Engine!).Options;
    }

    private static ServiceProvider ServicesOf(Action<KvNamespaceBuilder> configure, params (string Name, string Value)[] settings) => new ServiceCollection()
        .AddSingleton<IConfiguration>(ConfigurationOf(settings))
        .AddKvNamespace("KV", configure)
        .BuildServiceProvider();

    // A name that begins with a colon is a setting of the namespace, and an empty one the section itself.
    private static IConfigurationRoot ConfigurationOf((string Name, string Value)[] settings) => new ConfigurationBuilder()
        .AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(
            setting.Name.StartsWith(':') ? $"KvStore:KV{setting.Name}" : setting.Name.Length == 0 ? "KvStore:KV:PostgreSql" : $"KvStore:KV:PostgreSql:{setting.Name}",
            (string?)setting.Value)))
        .Build();
}
