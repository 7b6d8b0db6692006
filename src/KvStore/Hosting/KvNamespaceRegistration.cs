namespace KvStore.Hosting;

/// <summary>
/// A namespace that is registered with a service collection. The registration is a service itself, so that the collection has the
/// complete list of namespaces, and replacing a registration leaves nothing behind.
/// </summary>
/// <param name="Builder">The name and the options.</param>
/// <param name="ReadsConfiguration">Whether the section of the namespace in the configuration overrides the options of code.</param>
internal sealed record KvNamespaceRegistration(KvNamespaceBuilder Builder, bool ReadsConfiguration)
{
    /// <summary>The name of the namespace.</summary>
    public string Name => Builder.Name;
}
