namespace KvStore.Wrangler;

/// <summary>A value in a Wrangler file, of either format, and its position.</summary>
internal sealed class ConfigNode(ConfigKind kind, FilePosition position, string? text = null)
{
    private readonly List<string> _names = [];
    private readonly Dictionary<string, ConfigNode> _members = new(StringComparer.Ordinal);
    private readonly List<ConfigNode> _items = [];

    public ConfigKind Kind { get; } = kind;

    public FilePosition Position { get; } = position;

    /// <summary>The text of a <see cref="ConfigKind.Text"/>; null for any other kind.</summary>
    public string? Text { get; } = text;

    /// <summary>The names of the properties of an object, each once, in the order in which they first occur.</summary>
    public IReadOnlyList<string> Names => _names;

    /// <summary>The elements of an array.</summary>
    public IReadOnlyList<ConfigNode> Items => _items;

    /// <summary>The property with a name; null when there is none.</summary>
    public ConfigNode? Find(string name) => _members.TryGetValue(name, out var value) ? value : null;

    /// <summary>Sets a property. The last value of a repeated property counts, as in wrangler.</summary>
    public void Set(string name, ConfigNode value)
    {
        if (!_members.ContainsKey(name))
        {
            _names.Add(name);
        }

        _members[name] = value;
    }

    /// <summary>Adds an element.</summary>
    public void Add(ConfigNode item) => _items.Add(item);
}
