using Microsoft.Extensions.DependencyInjection;

namespace KvStore.Hosting;

/// <summary>Finds the registered namespaces of one container.</summary>
internal sealed class KvNamespaceFactory(IServiceProvider services, KvNamespaceRegistry registry) : IKvNamespaceFactory
{
    public IReadOnlyCollection<string> Names => registry.Names;

    public IKvNamespace Get(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return services.GetKeyedService<IKvNamespace>(name)
            ?? throw new ArgumentException(KvNamespaceRegistry.IsUnknown(name, Names), nameof(name));
    }
}
