using System.Text;
using KvStore.Wrangler;

namespace KvStore.Hosting;

/// <summary>Reads the bindings of a Wrangler file for one environment, as wrangler resolves them.</summary>
internal static class WranglerFile
{
    /// <summary>The variable that has the environment when the caller names none, as for wrangler.</summary>
    public const string EnvironmentVariable = "CLOUDFLARE_ENV";

    // Wrangler refuses files of these encodings. UTF-32 LE begins with the bytes of UTF-16 LE, and so comes first.
    private static readonly (byte[] Mark, string Encoding)[] s_unsupported =
    [
        ([0x00, 0x00, 0xFE, 0xFF], "UTF-32"),
        ([0xFF, 0xFE, 0x00, 0x00], "UTF-32"),
        ([0xFE, 0xFF], "UTF-16"),
        ([0xFF, 0xFE], "UTF-16"),
    ];

    /// <summary>The environment that the caller names, or else that of <c>CLOUDFLARE_ENV</c>; null for the top level.</summary>
    /// <param name="environment">The environment that the caller names; null for none. Empty means the top level, whatever the variable is.</param>
    public static string? EnvironmentOf(string? environment) =>
        (environment ?? Environment.GetEnvironmentVariable(EnvironmentVariable)) is { Length: > 0 } name ? name : null;

    /// <summary>The bindings of an environment, in the order of the file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="environment">The environment; null for the top level.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">
    /// The file is wrong or lacks the environment; or no environment is chosen, and only environments bind something; or the environment
    /// has no <c>kv_namespaces</c>, and the top level has.
    /// </exception>
    public static WranglerBindings Read(string path, string? environment) => Resolve(path, Parse(path), environment);

    /// <summary>The bindings of an environment of a file that has been read.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="config">Its content.</param>
    /// <param name="environment">The environment; null for the top level.</param>
    /// <param name="isCompiled">Whether the content was compiled in, so that no position in the file is known.</param>
    /// <exception cref="InvalidDataException">
    /// The file is wrong or lacks the environment; or no environment is chosen, and only environments bind something; or the environment
    /// has no <c>kv_namespaces</c>, and the top level has.
    /// </exception>
    public static WranglerBindings Resolve(string path, WranglerConfig config, string? environment, bool isCompiled = false)
    {
        var section = config.Find(environment);
        var problem = config.TopLevel.Problems
            .Concat(section?.Problems ?? [])
            .Where(problem => problem.Kind != WranglerProblemKind.DoubledBinding || (section?.Problems.Contains(problem) ?? false))
            .OrderBy(static problem => problem.Position.Offset)
            .Cast<WranglerProblem?>()
            .FirstOrDefault();
        if (problem is { } first)
        {
            throw Error(path, isCompiled ? null : first.Position, first.Message);
        }

        if (section is null)
        {
            throw new InvalidDataException($"{path}: there is no environment \"{environment}\"; the file has {NamesOf(config.Environments)}.");
        }

        if (environment is null && section.Bindings.Count == 0
            && config.Environments.Where(static other => other.Bindings.Count > 0).ToList() is { Count: > 0 } binding)
        {
            throw new InvalidDataException(
                $"{path}: no KV namespace is bound at the top level, only in {NamesOf(binding)}; name the environment in the call, or in {EnvironmentVariable}.");
        }

        // wrangler only warns. But it goes on to deploy, and here nothing would be left of the bindings but an error somewhere else.
        if (!ReferenceEquals(section, config.TopLevel) && !section.DeclaresNamespaces && config.TopLevel.Bindings.Count > 0)
        {
            throw Error(
                path,
                isCompiled ? null : section.Position,
                $"the environment \"{environment}\" binds no KV namespace, and the top level binds {NamesOf(config.TopLevel.Bindings)}. "
                    + $"Environments do not inherit \"kv_namespaces\": list there what it needs, or write {(WranglerConfig.IsToml(path) ? "kv_namespaces = []" : "\"kv_namespaces\": []")} there");
        }

        return new WranglerBindings(section.Bindings, WarningsOf(path, environment, config, section));
    }

    /// <summary>The exception for an error in a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="at">Where in it; null when that is not known.</param>
    /// <param name="what">What is wrong.</param>
    public static InvalidDataException Error(string path, FilePosition? at, string what) => at is { } position
        ? new(Invariant($"{path}({position.Line},{position.Column}): {what.TrimEnd('.')}."))
        : new($"{path}: {what.TrimEnd('.')}.");

    private static WranglerConfig Parse(string path)
    {
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"There is no Wrangler configuration at {Path.GetFullPath(path)}.", path);
        }

        var bytes = File.ReadAllBytes(path).AsSpan();
        foreach (var (mark, encoding) in s_unsupported)
        {
            if (bytes.StartsWith(mark))
            {
                throw new InvalidDataException($"{path}(1,1): the file is {encoding}; Wrangler files are UTF-8. Save it as UTF-8.");
            }
        }

        // Bytes that are not UTF-8 are read as U+FFFD, as wrangler reads them.
        var content = bytes.StartsWith(Encoding.UTF8.Preamble) ? bytes[Encoding.UTF8.Preamble.Length..] : bytes;
        return WranglerConfig.Parse(Encoding.UTF8.GetString(content), WranglerConfig.IsToml(path));
    }

    // Wrangler has this warning as well: kv_namespaces is not inherited.
    private static List<string> WarningsOf(string path, string? environment, WranglerConfig config, WranglerSection section)
    {
        List<string> warnings = [];
        if (ReferenceEquals(section, config.TopLevel) && !section.DeclaresNamespaces)
        {
            warnings.Add($"{path} has no \"kv_namespaces\", so no KV namespace is bound.");
            return warnings;
        }

        if (environment is null)
        {
            return warnings;
        }

        if (ReferenceEquals(section, config.TopLevel))
        {
            warnings.Add($"{path}: there is no environment \"{environment}\"; the bindings of the top level are taken.");
            return warnings;
        }

        // An empty list says that nothing is wanted.
        var missing = section.Bindings.Count == 0 ? [] : config.TopLevel.Bindings.Where(top => !section.Bindings.Any(binding => binding.Name == top.Name)).ToList();
        if (missing.Count > 0)
        {
            warnings.Add($"{path}: {NamesOf(missing)} is bound at the top level, but not in the environment \"{environment}\". Environments do not inherit \"kv_namespaces\": list there what it needs.");
        }

        return warnings;
    }

    private static string NamesOf(IEnumerable<WranglerBinding> bindings) =>
        string.Join(", ", bindings.Select(static binding => $"\"{binding.Name}\""));

    private static string NamesOf(IEnumerable<WranglerSection> sections) =>
        string.Join(", ", sections.Select(static section => $"\"{section.Environment}\"")) is { Length: > 0 } names ? names : "none";
}
