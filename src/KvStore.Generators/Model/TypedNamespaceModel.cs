using KvStore.Generators.Templates;

namespace KvStore.Generators.Model;

/// <summary>An interface with <c>[KvNamespace]</c>.</summary>
/// <param name="Binding">The name of the namespace.</param>
/// <param name="BindingPlace">Where that name stands in source.</param>
/// <param name="Namespace">The C# namespace; empty for the global one.</param>
/// <param name="Containers">The types around it, from the outermost, as declarations: <c>partial class Outer</c>.</param>
/// <param name="Name">The name of the interface.</param>
/// <param name="FullName">Its name as generated code writes it.</param>
/// <param name="IsVisible">Whether all of the project can name the interface.</param>
/// <param name="KeyBytesMax">The longest key.</param>
/// <param name="Entries">The methods that return an entry.</param>
/// <param name="Listings">The methods that return entries.</param>
internal sealed record TypedNamespaceModel(
    string Binding,
    FileSpan? BindingPlace,
    string Namespace,
    EquatableArray<string> Containers,
    string Name,
    string FullName,
    bool IsVisible,
    int KeyBytesMax,
    EquatableArray<EntryModel> Entries,
    EquatableArray<ListingModel> Listings);

/// <summary>A method that returns an entry.</summary>
/// <param name="Name">The name of the method.</param>
/// <param name="Template">The template of its keys.</param>
/// <param name="Parameters">Its parameters.</param>
/// <param name="TtlSeconds">How long an entry lives; 0 until it is deleted.</param>
/// <param name="Value">The type of the value.</param>
/// <param name="Metadata">The type of the metadata.</param>
/// <param name="Types">Both types, as the method has them.</param>
internal sealed record EntryModel(
    string Name, KeyTemplate Template, EquatableArray<KeyParameter> Parameters, int TtlSeconds, StoredType Value, StoredType Metadata, string Types)
{
    /// <summary>The parameters in the order of the placeholders.</summary>
    public IEnumerable<KeyParameter> InKeyOrder => Template.Placeholders.Select(name => Parameters.First(parameter => parameter.Name == name));
}

/// <summary>A method that returns the entries of another.</summary>
/// <param name="Name">The name of the method.</param>
/// <param name="Parameters">Its parameters, which are the first placeholders.</param>
/// <param name="Types">The types of values and metadata, as the method has them.</param>
/// <param name="Entry">The index of the entry's method.</param>
internal sealed record ListingModel(string Name, EquatableArray<KeyParameter> Parameters, string Types, int Entry);

/// <summary>A type of values or metadata.</summary>
/// <param name="Type">The type, fully qualified.</param>
/// <param name="Format">The expression that makes its format.</param>
internal sealed record StoredType(string Type, string Format);

/// <summary>The model of an interface, null when it cannot be generated, and what there is to report.</summary>
internal sealed record TypedNamespaceReading(TypedNamespaceModel? Model, EquatableArray<Finding> Findings);
