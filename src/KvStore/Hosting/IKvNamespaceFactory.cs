namespace KvStore;

/// <summary>Finds the namespaces that were registered with a container, by name. Safe to use from any thread.</summary>
public interface IKvNamespaceFactory
{
    /// <summary>The names of all registered namespaces, in the order of registration.</summary>
    IReadOnlyCollection<string> Names { get; }

    /// <summary>The namespace registered under a name: always the same one.</summary>
    /// <param name="name">The name, for example <c>CACHE_KV</c>.</param>
    /// <returns>The namespace, which the container disposes.</returns>
    /// <exception cref="ArgumentException">Nothing is registered under that name; the message lists what is.</exception>
    IKvNamespace Get(string name);
}
