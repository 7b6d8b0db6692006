namespace KvStore.Wrangler;

/// <summary>The KV namespaces of the top level, or of one environment, of a Wrangler file.</summary>
internal sealed class WranglerSection
{
    private readonly List<WranglerBinding> _bindings = [];
    private readonly List<WranglerProblem> _problems = [];

    private WranglerSection(string? environment, FilePosition position)
    {
        Environment = environment;
        Position = position;
    }

    /// <summary>The name of the environment; null at the top level.</summary>
    public string? Environment { get; }

    /// <summary>The position of the section.</summary>
    public FilePosition Position { get; }

    /// <summary>Whether the section has a property <c>kv_namespaces</c>.</summary>
    public bool DeclaresNamespaces { get; private set; }

    /// <summary>The bindings, each name once, in the order of the file.</summary>
    public IReadOnlyList<WranglerBinding> Bindings => _bindings;

    /// <summary>The errors of the section.</summary>
    public IReadOnlyList<WranglerProblem> Problems => _problems;

    /// <summary>Reads a section. Its problems are collected, not thrown.</summary>
    public static WranglerSection Read(string? environment, ConfigNode node)
    {
        var section = new WranglerSection(environment, node.Position);
        if (node.Kind != ConfigKind.Object)
        {
            section.Report(node, environment is null ? "the file must hold one object" : $"the environment \"{environment}\" must be an object");
        }
        else if (node.Find("kv_namespaces") is { } namespaces)
        {
            section.DeclaresNamespaces = true;
            section.ReadNamespaces(namespaces);
        }

        return section;
    }

    /// <summary>The section for a file that cannot be read.</summary>
    public static WranglerSection Unreadable(WranglerProblem problem)
    {
        var section = new WranglerSection(environment: null, problem.Position);
        section._problems.Add(problem);
        return section;
    }

    private void ReadNamespaces(ConfigNode namespaces)
    {
        if (namespaces.Kind != ConfigKind.Array)
        {
            Report(namespaces, "\"kv_namespaces\" must be an array of objects");
            return;
        }

        foreach (var entry in namespaces.Items)
        {
            if (entry.Kind != ConfigKind.Object)
            {
                Report(entry, "an entry of \"kv_namespaces\" must be an object");
            }
            else if (entry.Find("binding") is not { } binding)
            {
                Report(entry, "an entry of \"kv_namespaces\" has no \"binding\"", WranglerProblemKind.MissingBinding);
            }
            else
            {
                ReadBinding(entry, binding);
            }
        }
    }

    private void ReadBinding(ConfigNode entry, ConfigNode binding)
    {
        if (binding.Text is not { } name)
        {
            Report(binding, "\"binding\" must be a text");
            return;
        }

        if (string.IsNullOrWhiteSpace(name))
        {
            Report(binding, "\"binding\" is empty", WranglerProblemKind.MissingBinding);
            return;
        }

        if (!IsUnicode(name))
        {
            Report(binding, "\"binding\" holds what is not Unicode", WranglerProblemKind.MissingBinding);
            return;
        }

        if (entry.Find("id") is { } id && string.IsNullOrEmpty(id.Text))
        {
            Report(id, $"the \"id\" of \"{name}\" must be a text that is not empty");
        }

        if (entry.Find("preview_id") is { Kind: not ConfigKind.Text } previewId)
        {
            Report(previewId, $"the \"preview_id\" of \"{name}\" must be a text");
        }

        if (entry.Find("remote") is { Kind: not ConfigKind.Boolean } remote)
        {
            Report(remote, $"\"remote\" of \"{name}\" must be true or false");
        }

        if (_bindings.Exists(other => other.Name == name))
        {
            Report(binding, $"\"{name}\" is bound twice; each name can be bound once", WranglerProblemKind.DoubledBinding);
        }
        else
        {
            _bindings.Add(new WranglerBinding(name, entry.Find("id")?.Text, binding.Position));
        }
    }

    private void Report(ConfigNode node, string message, WranglerProblemKind kind = WranglerProblemKind.Broken) =>
        _problems.Add(new WranglerProblem(kind, node.Position, message));

    // Whether the text has no unpaired surrogate.
    private static bool IsUnicode(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
            {
                i++;
            }
            else if (char.IsSurrogate(text[i]))
            {
                return false;
            }
        }

        return true;
    }
}
