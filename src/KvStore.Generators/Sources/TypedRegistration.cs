namespace KvStore.Generators.Sources;

/// <summary>A typed namespace as its registration needs it: an edit of its methods changes nothing here.</summary>
internal sealed record TypedRegistration(string FullName, string Binding);
