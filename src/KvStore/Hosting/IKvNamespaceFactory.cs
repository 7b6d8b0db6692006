namespace KvStore;

/// <summary>Finds the namespaces that are registered with a container, by name. Thread safety: all members, from any thread.</summary>
public interface IKvNamespaceFactory
{
    /// <summary>The names of all registered namespaces, in the order of registration.</summary>
    IReadOnlyCollection<string> Names { get; }

    /// <summary>Returns the namespace that is registered under a name; always the same object.</summary>
    /// <param name="name">The name, for example <c>CACHE_KV</c>.</param>
    /// <returns>The namespace, which the container disposes.</returns>
    /// <exception cref="ArgumentException">No namespace of that name is registered; the message lists the registered names.</exception>
    IKvNamespace Get(string name);
}
