namespace KvStore.Hosting;

/// <summary>
/// A namespace that is registered with a service collection. It is a service itself, so that the collection alone says which
/// namespaces there are: a registration that is replaced leaves nothing behind.
/// </summary>
/// <param name="Builder">Its name and its options.</param>
/// <param name="ReadsConfiguration">Whether its section of the configuration overrides the options that code gives.</param>
internal sealed record KvNamespaceRegistration(KvNamespaceBuilder Builder, bool ReadsConfiguration)
{
    /// <summary>The name of the namespace.</summary>
    public string Name => Builder.Name;
}
