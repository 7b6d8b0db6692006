namespace KvServer;

/// <summary>The settings of the server, from its command line and from environment variables.</summary>
internal sealed class ServerSettings
{
    private const string DefaultUrls = "http://127.0.0.1:8787";

    // The other options take a value, which the configuration reads.
    private const string NewToken = "--new-token";
    private const string NewBindingSecret = "--new-binding-secret";
    private const string OpenBinding = "--open-binding";

    private ServerSettings(string[] args, IConfiguration configuration, HashSet<string> flags)
    {
        // Configuration files are next to the program, not in the current directory.
        Host = new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory };
        Urls = configuration["urls"] is { Length: > 0 } urls ? urls : DefaultUrls;
        BindingUrl = configuration["binding-url"] is { Length: > 0 } bindingUrl ? bindingUrl : null;
        var urlsName = args.Any(static arg => arg.StartsWith("--urls", StringComparison.OrdinalIgnoreCase)) ? "--urls" : "--urls: the variable ASPNETCORE_URLS or URLS";
        var addresses = ListenAddress.ReadAll(urlsName, Urls);
        if (BindingUrl is not null)
        {
            _ = ListenAddress.ReadAll("--binding-url", BindingUrl, addresses);
        }

        Data = Path.GetFullPath(configuration["data"] is { Length: > 0 } data ? data : "data");
        Hosts = (configuration["allow-host"] ?? "").Split([',', ';'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (Hosts.FirstOrDefault(name => name != "*" && Uri.CheckHostName(name) == UriHostNameType.Unknown) is { } bad)
        {
            throw new StartFailure($"--allow-host: \"{bad}\" is not the name of a host. Give names without scheme and port, with commas between them.");
        }

        Token = ServerSecret.Read("KVSTORE_TOKEN", configuration["KVSTORE_TOKEN"], Path.Combine(Data, "token.sha256"), flags.Contains(NewToken) ? NewToken : null);
        IsBindingOpen = flags.Contains(OpenBinding);
        if (!IsBindingOpen)
        {
            BindingSecret = ServerSecret.Read(
                "KVSTORE_BINDING_SECRET", configuration["KVSTORE_BINDING_SECRET"], Path.Combine(Data, "binding-secret.sha256"), flags.Contains(NewBindingSecret) ? NewBindingSecret : null);
        }
        else if (configuration["KVSTORE_BINDING_SECRET"] is { Length: > 0 } || flags.Contains(NewBindingSecret))
        {
            throw new StartFailure($"{OpenBinding}: the runtime's endpoint cannot be open and have a secret. Leave out {OpenBinding}, or KVSTORE_BINDING_SECRET and {NewBindingSecret}.");
        }
    }

    /// <summary>The options of the application builder.</summary>
    public WebApplicationOptions Host { get; }

    public string Urls { get; }

    /// <summary>The address of the runtime's endpoint; null for the default.</summary>
    public string? BindingUrl { get; }

    /// <summary>The data directory, as a full path.</summary>
    public string Data { get; }

    /// <summary>The host names that browsers may use, beside addresses and localhost.</summary>
    public string[] Hosts { get; }

    public ServerSecret Token { get; }

    /// <summary>The secret of the runtime; null when it needs none.</summary>
    public ServerSecret? BindingSecret { get; }

    public bool IsBindingOpen { get; }

    /// <exception cref="StartFailure">A setting is wrong.</exception>
    public static ServerSettings Read(string[] args)
    {
        var flags = args.Where(arg => arg is NewToken or NewBindingSecret or OpenBinding).ToHashSet(StringComparer.Ordinal);
        string[] others = [.. args.Where(arg => !flags.Contains(arg))];
        CommandLine.Check(others);
        IConfiguration configuration;
        try
        {
            configuration = new ConfigurationBuilder().AddEnvironmentVariables("ASPNETCORE_").AddEnvironmentVariables().AddCommandLine(others).Build();
        }
        catch (FormatException e)
        {
            throw new StartFailure($"The command line: {e.Message} Options are written --name value.");
        }

        return new ServerSettings(others, configuration, flags);
    }
}
