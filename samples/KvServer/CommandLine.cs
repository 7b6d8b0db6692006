namespace KvServer;

/// <summary>Refuses a command line with an unknown option. Without this check, a misspelt option has no effect.</summary>
internal static class CommandLine
{
    private const string Usage =
        "Options: --urls URL, --binding-url URL, --data DIRECTORY, --allow-host NAMES, --new-token, --new-binding-secret, --open-binding; "
        + "docs/http.md says what they do.";

    // The options of this server, and those of every ASP.NET application.
    private static readonly HashSet<string> s_options = new(StringComparer.OrdinalIgnoreCase)
    {
        "urls", "binding-url", "data", "allow-host", "environment", "contentRoot", "applicationName",
    };

    /// <summary>Checks options that take a value.</summary>
    /// <param name="args">The command line without the options that take no value.</param>
    /// <exception cref="StartFailure">An option is unknown, or lacks its value.</exception>
    public static void Check(ReadOnlySpan<string> args)
    {
        for (var i = 0; i < args.Length; i++)
        {
            var equals = args[i].IndexOf('=', StringComparison.Ordinal);
            var option = equals < 0 ? args[i] : args[i][..equals];

            // An option with a colon is a setting of the configuration, for example --Logging:LogLevel:Default.
            if (!option.StartsWith("--", StringComparison.Ordinal) || (!s_options.Contains(option[2..]) && !option.Contains(':', StringComparison.Ordinal)))
            {
                throw new StartFailure($"{option}: there is no such option. {Usage}");
            }

            var value = equals >= 0 ? args[i][(equals + 1)..] : ++i < args.Length ? args[i] : "";
            if (value.Length == 0 || (equals < 0 && value.StartsWith("--", StringComparison.Ordinal)))
            {
                throw new StartFailure($"{option}: the value is missing. {Usage}");
            }
        }
    }
}
