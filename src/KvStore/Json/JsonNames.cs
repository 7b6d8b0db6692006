using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace KvStore.Json;

/// <summary>The names of the properties of a type, and of the types that it holds. Immutable once made.</summary>
internal sealed class JsonNames
{
    private Dictionary<string, Property>.AlternateLookup<ReadOnlySpan<char>> _exact;
    private Dictionary<string, Property>.AlternateLookup<ReadOnlySpan<char>> _caseless;
    private Dictionary<string, Property?>.AlternateLookup<ReadOnlySpan<char>> _alike;
    private Dictionary<string, JsonNames>? _derived;
    private Property[] _properties = [];

    private JsonNames(JsonNameGraph graph, JsonTypeInfoKind kind)
    {
        Graph = graph;
        Kind = kind;
    }

    /// <summary>What is true of all types that the type holds.</summary>
    public JsonNameGraph Graph { get; }

    /// <summary>An object, a sequence or a dictionary.</summary>
    public JsonTypeInfoKind Kind { get; }

    /// <summary>The names of the elements of a sequence and of the values of a dictionary; null when they have none.</summary>
    public JsonNames? Element { get; private set; }

    /// <summary>The property that says which derived type an object is; null when there are none.</summary>
    public string? DiscriminatorName { get; private set; }

    /// <summary>The names of a type; null when neither it nor what it holds has any.</summary>
    public static JsonNames? Of(JsonTypeInfo info)
    {
        info.MakeReadOnly();
        var graph = new JsonNameGraph();
        var names = Nullable.GetUnderlyingType(info.Type) is { } underlying && IsRead(info.Converter)
            ? Of(info.Options, underlying, graph, [])
            : Of(info, graph, []);
        return graph.HasProperties ? names : null;
    }

    /// <summary>
    /// Writes a name without its underscores and hyphens, and returns the number of characters. Two names are alike when the results
    /// are equal without regard to case.
    /// </summary>
    public static int WithoutSeparators(ReadOnlySpan<char> name, Span<char> likeness)
    {
        var length = 0;
        foreach (var character in name)
        {
            if (character is not ('_' or '-'))
            {
                likeness[length++] = character;
            }
        }

        return length;
    }

    /// <summary>A property by its index in the type; null after the last one.</summary>
    public Property? At(int index) => (uint)index < (uint)_properties.Length ? _properties[index] : null;

    /// <summary>Whether a property is among the first ones of the type.</summary>
    public bool IsBefore(int index, Property property) => _properties.AsSpan(0, index).Contains(property);

    /// <summary>The property that a name is for.</summary>
    /// <param name="name">The name in the text.</param>
    /// <param name="isCaseTolerant">Whether the text is read without regard to case.</param>
    /// <param name="isExact">Whether System.Text.Json finds the property by the name as it stands.</param>
    /// <returns>The property; null when there is none.</returns>
    public Property? Find(ReadOnlySpan<char> name, bool isCaseTolerant, out bool isExact)
    {
        isExact = true;
        if ((isCaseTolerant ? _caseless : _exact).TryGetValue(name, out var property))
        {
            return property;
        }

        isExact = false;

        // Names of System.Text.Json itself, for example $type.
        if (name.StartsWith('$'))
        {
            return null;
        }

        Span<char> likeness = name.Length <= 128 ? stackalloc char[128] : new char[name.Length];
        return _alike.TryGetValue(likeness[..WithoutSeparators(name, likeness)], out property) ? property : null;
    }

    /// <summary>The names of a derived type.</summary>
    /// <param name="discriminator">What the text says it is.</param>
    public JsonNames DerivedBy(string discriminator) => _derived!.GetValueOrDefault(discriminator, this);

    // A converter of the application reads what it likes.
    private static bool IsRead(JsonConverter converter) => converter.GetType().Assembly == typeof(JsonSerializer).Assembly;

    private static JsonNames? Of(JsonTypeInfo info, JsonNameGraph graph, Dictionary<JsonTypeInfo, JsonNames> known)
    {
        if (known.TryGetValue(info, out var names))
        {
            return names;
        }

        if (info.Kind is JsonTypeInfoKind.None)
        {
            return null;
        }

        // Added before the types of its properties are read, because a type may contain itself.
        names = new JsonNames(graph, info.Kind);
        known.Add(info, names);
        if (info.Kind is JsonTypeInfoKind.Object)
        {
            names.AddProperties(info, known);
            names.AddDerived(info, known);
        }
        else
        {
            names.Element = info.ElementType is { } element ? Of(info.Options, element, graph, known) : null;
        }

        return names;
    }

    private static JsonNames? Of(JsonSerializerOptions options, Type type, JsonNameGraph graph, Dictionary<JsonTypeInfo, JsonNames> known)
    {
        try
        {
            return options.TryGetTypeInfo(Nullable.GetUnderlyingType(type) ?? type, out var info)
                || options.TryGetTypeInfo(type, out info)
                ? Of(info, graph, known)
                : null;
        }
        catch (Exception e) when (e is InvalidOperationException or NotSupportedException)
        {
            // System.Text.Json cannot read the type, and throws when it reads a value of it.
            return null;
        }
    }

    private void AddProperties(JsonTypeInfo info, Dictionary<JsonTypeInfo, JsonNames> known)
    {
        Dictionary<string, Property> exact = new(StringComparer.Ordinal);
        Dictionary<string, Property> caseless = new(StringComparer.OrdinalIgnoreCase);
        Dictionary<string, Property?> alike = new(StringComparer.OrdinalIgnoreCase);
        foreach (var declared in info.Properties)
        {
            if (declared.IsExtensionData)
            {
                continue;
            }

            var property = new Property(declared.Name, HoldsNames(declared) ? Of(info.Options, declared.PropertyType, Graph, known) : null);
            Graph.HasProperties = true;
            Graph.HasSeparators |= declared.Name.AsSpan().ContainsAny('_', '-');
            Graph.HasNamesEqualButForCase |= !caseless.TryAdd(declared.Name, property);
            exact[declared.Name] = property;

            var likeness = new char[declared.Name.Length];
            var key = new string(likeness, 0, WithoutSeparators(declared.Name, likeness));
            if (key.Length > 0 && !alike.TryAdd(key, property))
            {
                alike[key] = null;
            }
        }

        _properties = [.. exact.Values];
        _exact = exact.GetAlternateLookup<ReadOnlySpan<char>>();
        _caseless = caseless.GetAlternateLookup<ReadOnlySpan<char>>();
        _alike = alike.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    // Not a property with its own converter, nor a property that is only written.
    private static bool HoldsNames(JsonPropertyInfo property) =>
        property.CustomConverter is null
        && (property.Set is not null
            || property.AssociatedParameter is not null
            || (property.ObjectCreationHandling ?? property.Options.PreferredObjectCreationHandling) is JsonObjectCreationHandling.Populate);

    private void AddDerived(JsonTypeInfo info, Dictionary<JsonTypeInfo, JsonNames> known)
    {
        if (info.PolymorphismOptions is not { DerivedTypes: { Count: > 0 } derivedTypes } polymorphism)
        {
            return;
        }

        DiscriminatorName = polymorphism.TypeDiscriminatorPropertyName;
        _derived = new(StringComparer.Ordinal);
        foreach (var derived in derivedTypes)
        {
            if (Convert.ToString(derived.TypeDiscriminator, CultureInfo.InvariantCulture) is { } discriminator
                && Of(info.Options, derived.DerivedType, Graph, known) is { } names)
            {
                _derived[discriminator] = names;
            }
        }
    }

    /// <summary>A property of an object.</summary>
    /// <param name="name">Its name as it is read and written.</param>
    /// <param name="names">The names of what it holds; null when that has none.</param>
    internal sealed class Property(string name, JsonNames? names)
    {
        private byte[]? _quoted;

        /// <summary>The name in UTF-8.</summary>
        public byte[] Name { get; } = Encoding.UTF8.GetBytes(name);

        /// <summary>The names of what it holds; null when that has none.</summary>
        public JsonNames? Names { get; } = names;

        /// <summary>The name as it stands in JSON.</summary>
        public byte[] Quoted => _quoted ??= [(byte)'"', .. JsonEncodedText.Encode(name).EncodedUtf8Bytes, (byte)'"'];
    }
}

/// <summary>What is true of all types that a type holds.</summary>
internal sealed class JsonNameGraph
{
    /// <summary>Whether any object has a property.</summary>
    public bool HasProperties { get; set; }

    /// <summary>Whether any name has an underscore or a hyphen.</summary>
    public bool HasSeparators { get; set; }

    /// <summary>Whether an object has two names that are equal without regard to case.</summary>
    public bool HasNamesEqualButForCase { get; set; }
}
