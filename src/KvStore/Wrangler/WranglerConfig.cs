namespace KvStore.Wrangler;

/// <summary>
/// The KV namespaces of a Wrangler file, for each of its environments. The library reads files by it when an application starts,
/// the generator when it is compiled: one reader, so that both see the same.
/// </summary>
internal sealed class WranglerConfig
{
    private readonly List<WranglerSection> _environments = [];

    private WranglerConfig(WranglerSection topLevel) => TopLevel = topLevel;

    private WranglerConfig(ConfigNode root)
    {
        TopLevel = WranglerSection.Read(environment: null, root);
        IsPages = root.Find("pages_build_output_dir") is not null;
        if (root.Find("env") is not { } environments)
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

    /// <summary>What is bound where no environment is chosen.</summary>
    public WranglerSection TopLevel { get; }

    /// <summary>The environments, in the order of the file.</summary>
    public IReadOnlyList<WranglerSection> Environments => _environments;

    /// <summary>Whether the file has a property <c>env</c>.</summary>
    public bool HasEnvironments { get; }

    /// <summary>Whether the file is one of Pages, which may lack an environment.</summary>
    public bool IsPages { get; }

    /// <summary>Whether a file is TOML by its name. Every other one is JSON with comments.</summary>
    public static bool IsToml(string path) => path.EndsWith(".toml", StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads a file. What is wrong with it is found in the problems of its sections.</summary>
    /// <param name="text">The content, without a byte order mark.</param>
    /// <param name="isToml">Whether it is TOML; otherwise it is JSON with comments.</param>
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
    /// The section that wrangler takes for an environment. <c>kv_namespaces</c> is not inherited: an environment binds what it
    /// lists itself. Where the file has no environments at all, or is one of Pages, the top level stands in for the missing one.
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
