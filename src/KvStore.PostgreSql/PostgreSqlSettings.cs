using Microsoft.Extensions.Configuration;

namespace KvStore.PostgreSql;

/// <summary>Reads the section <c>KvStore:{name}:PostgreSql</c> of the configuration.</summary>
internal static class PostgreSqlSettings
{
    /// <summary>The name of the section.</summary>
    public const string Section = "PostgreSql";

    private const string Enabled = "Enabled";
    private const string ConnectionString = "ConnectionString";

    /// <summary>The path of the setting that has the connection string of a namespace.</summary>
    public static string PathOf(string name) => $"KvStore:{name.Replace("%", "%25", StringComparison.Ordinal).Replace(":", "%3A", StringComparison.Ordinal)}:{Section}:{ConnectionString}";

    /// <summary>Returns the options of the namespace with the settings of the section. Nothing is opened.</summary>
    /// <exception cref="FormatException">A setting is unknown, or cannot be read.</exception>
    /// <exception cref="ArgumentException">An option is out of its range; the message names it.</exception>
    public static KvNamespaceOptions Apply(IConfigurationSection section, KvNamespaceOptions namespaceOptions)
    {
        KvConfigurationReader.CheckIsSection(section);
        if (namespaceOptions.Engine is not PostgreSqlEngine engine)
        {
            throw new FormatException($"{section.Path} has settings for PostgreSQL, and code gives the namespace another engine. Remove the settings.");
        }

        var isEnabled = true;
        string? connectionString = null;
        var options = engine.Options;
        foreach (var entry in section.GetChildren())
        {
            switch (entry.Key.ToUpperInvariant())
            {
                case "ENABLED":
                    isEnabled = KvConfigurationReader.ReadBoolean(entry);
                    break;
                case "CONNECTIONSTRING":
                    connectionString = KvConfigurationReader.ReadText(entry, "a connection string of Npgsql");
                    break;
                default:
                    options = Apply(entry, options);
                    break;
            }
        }

        if (connectionString is not null)
        {
            using (KvPostgreSql.SourceOf(connectionString))
            {
                // Checked here, so that a wrong connection string is reported as a setting.
            }
        }

        return namespaceOptions with
        {
            Engine = !isEnabled ? null
                : connectionString is null ? engine.With(options)
                : new PostgreSqlEngine(() => KvPostgreSql.SourceOf(connectionString), ownsDataSource: true, options),
        };
    }

    private static KvPostgreSqlOptions Apply(IConfigurationSection entry, KvPostgreSqlOptions options) => entry.Key.ToUpperInvariant() switch
    {
        "SCHEMA" => options with { Schema = KvConfigurationReader.ReadText(entry, "the name of a schema") },
        "CREATESCHEMA" => options with { CreateSchema = KvConfigurationReader.ReadBoolean(entry) },
        "POLLINTERVAL" => options with { PollInterval = KvConfigurationReader.ReadTimeSpan(entry) },
        "USENOTIFICATIONS" => options with { UseNotifications = KvConfigurationReader.ReadBoolean(entry) },
        "STALENESSMAX" => options with { StalenessMax = KvConfigurationReader.ReadTimeSpan(entry) },
        "WHENSTALE" => options with { WhenStale = KvConfigurationReader.ReadEnum<KvWhenStale>(entry) },
        "LARGEVALUEBYTES" => options with { LargeValueBytes = KvConfigurationReader.ReadInt32(entry) },
        "WRITETIMEOUT" => options with { WriteTimeout = KvConfigurationReader.ReadTimeSpan(entry) },
        "SWEEPINTERVAL" => options with { SweepInterval = KvConfigurationReader.ReadTimeSpan(entry) },
        _ => throw KvConfigurationReader.UnknownSetting(
            entry,
            $"{Enabled}, {ConnectionString}, {nameof(KvPostgreSqlOptions.Schema)}, {nameof(KvPostgreSqlOptions.CreateSchema)}, {nameof(KvPostgreSqlOptions.PollInterval)}, {nameof(KvPostgreSqlOptions.UseNotifications)}, {nameof(KvPostgreSqlOptions.StalenessMax)}, {nameof(KvPostgreSqlOptions.WhenStale)}, {nameof(KvPostgreSqlOptions.LargeValueBytes)}, {nameof(KvPostgreSqlOptions.WriteTimeout)} and {nameof(KvPostgreSqlOptions.SweepInterval)}"),
    };
}
