namespace KvStore.Wrangler;

/// <summary>
/// The KV namespaces of each environment of a Wrangler file. The library reads files with this class when an application starts, and
/// the generator when the application is compiled, so that both have the same result.
/// </summary>
internal sealed class WranglerConfig
{
    private readonly List<WranglerSection> _environments = [];

    private WranglerConfig(WranglerSection topLevel) => TopLevel = topLevel;

    private WranglerConfig(ConfigNode root)
    {
        TopLevel = WranglerSection.Read(environment: null, root);
        IsPages = root.Find("pages_build_output_dir") is not null;

        // To wrangler, null is as good as nothing here.
        if (root.Find("env") is not { Kind: not ConfigKind.Null } environments)
        {
            return;
        }

        HasEnvironments = true;
        if (environments.Kind != ConfigKind.Object)
        {
            TopLevel = WranglerSection.Unreadable(new WranglerProblem(
                WranglerProblemKind.Broken, environments.Position, "\"env\" must be an object with an object for each environment"));
            return;
        }

        foreach (var name in environments.Names)
        {
            _environments.Add(WranglerSection.Read(name, environments.Find(name)!));
        }
    }

    /// <summary>The top level, which applies when no environment is chosen.</summary>
    public WranglerSection TopLevel { get; }

    /// <summary>The environments, in the order of the file.</summary>
    public IReadOnlyList<WranglerSection> Environments => _environments;

    /// <summary>Whether the file has a property <c>env</c>.</summary>
    public bool HasEnvironments { get; }

    /// <summary>Whether the file is for Pages. Such a file need not have the chosen environment.</summary>
    public bool IsPages { get; }

    /// <summary>Whether a file is TOML, by its name. Every other file is JSON with comments.</summary>
    public static bool IsToml(string path) => path.EndsWith(".toml", StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads a file. Errors are in the problems of its sections.</summary>
    /// <param name="text">The content, without a byte order mark.</param>
    /// <param name="isToml">Whether the text is TOML; otherwise it is JSON with comments.</param>
    public static WranglerConfig Parse(string text, bool isToml)
    {
        try
        {
            var lines = new FileLines(text);
            return new WranglerConfig(isToml ? TomlConfigReader.Read(text, lines) : JsonConfigReader.Read(text, lines));
        }
        catch (ConfigSyntaxException e)
        {
            return new WranglerConfig(WranglerSection.Unreadable(new WranglerProblem(WranglerProblemKind.Broken, e.Position, e.Message)));
        }
    }

    /// <summary>
    /// The section that wrangler uses for an environment. <c>kv_namespaces</c> is not inherited: an environment has the bindings that
    /// it lists. When the file has no environments, or is for Pages, the top level replaces a missing environment.
    /// </summary>
    /// <param name="environment">The environment; null or empty for the top level.</param>
    /// <returns>The section, or null when the file has environments but not this one.</returns>
    public WranglerSection? Find(string? environment)
    {
        if (string.IsNullOrEmpty(environment))
        {
            return TopLevel;
        }

        var section = _environments.Find(section => section.Environment == environment);
        return section ?? (HasEnvironments && !IsPages ? null : TopLevel);
    }
}
