using KvStore.Rules;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace KvStore.Hosting;

/// <summary>The adapters that are registered with one container, and what they demand of the namespaces.</summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class KvAdapterRegistry(IEnumerable<KvAdapter> adapters)
{
    private readonly KvAdapter[] _adapters = [.. adapters];

    /// <summary>Checks that every adapter has a namespace, and keys of its own in it.</summary>
    /// <exception cref="OptionsValidationException">An adapter has not; the message says what to write.</exception>
    public void CheckNames(IReadOnlyCollection<string> namespaces)
    {
        for (var i = 0; i < _adapters.Length; i++)
        {
            var adapter = _adapters[i];
            if (!namespaces.Contains(adapter.Namespace, StringComparer.Ordinal))
            {
                throw Refused(
                    adapter, $"{KvNamespaceRegistry.IsUnknown(adapter.Namespace, namespaces)} Register it: services.AddKvNamespace({VisibleKey.Quote(adapter.Namespace)}).");
            }

            if (_adapters.Take(i).FirstOrDefault(other => Overlap(adapter, other)) is { } earlier)
            {
                throw Refused(
                    adapter,
                    $"its keys begin with {VisibleKey.Quote(adapter.Prefix)}, and those of {earlier.RegisteredBy} in the same namespace with {VisibleKey.Quote(earlier.Prefix)}. Set a prefix so that neither begins with the other.");
            }
        }
    }

    /// <summary>Checks that a namespace may do what its adapters demand of it.</summary>
    /// <param name="name">The name of the namespace.</param>
    /// <param name="options">Its options.</param>
    /// <param name="logger">Where it is logged that the namespace does something which an adapter can live with, but its users will not like.</param>
    /// <exception cref="OptionsValidationException">It may not; the message says which option to change.</exception>
    public void CheckOptions(string name, KvNamespaceOptions options, ILogger logger)
    {
        foreach (var adapter in _adapters.Where(adapter => adapter.Namespace == name))
        {
            if (adapter.RefusesEviction && options.Memory?.WhenFull == KvMemoryPolicy.Evict)
            {
                throw Refused(
                    adapter, $"the namespace evicts entries when its memory is full, and what this adapter keeps must not be lost. Use a namespace without {nameof(KvMemoryPolicy)}.{nameof(KvMemoryPolicy.Evict)}.");
            }

            if (adapter.LostByEviction is { } lost && options.Memory?.WhenFull == KvMemoryPolicy.Evict)
            {
                logger.AdapterEvicted(adapter.RegisteredBy, name, lost);
            }

            if (adapter.ExpirationTtlMin < options.Limits.ExpirationTtlMin)
            {
                throw Refused(
                    adapter, Invariant($"the shortest time to live that the namespace allows is {options.Limits.ExpirationTtlMin.TotalSeconds:0.###} seconds, and the adapter needs {adapter.ExpirationTtlMin.Value.TotalSeconds:0.###}. Set {nameof(KvLimits)}.{nameof(KvLimits.ExpirationTtlMin)}."));
            }

            if (!adapter.IsReadOnly && adapter.KeyBytesMax > options.Limits.KeyBytesMax)
            {
                throw Refused(
                    adapter, Invariant($"the longest key that the namespace allows has {options.Limits.KeyBytesMax} bytes, and the adapter needs {adapter.KeyBytesMax}. Set {nameof(KvLimits)}.{nameof(KvLimits.KeyBytesMax)}."));
            }

            if (!adapter.IsReadOnly && adapter.MetadataBytesMax > options.Limits.MetadataBytesMax)
            {
                throw Refused(
                    adapter, Invariant($"the largest metadata that the namespace allows has {options.Limits.MetadataBytesMax} bytes, and the adapter needs {adapter.MetadataBytesMax}. Set {nameof(KvLimits)}.{nameof(KvLimits.MetadataBytesMax)}."));
            }
        }
    }

    private static bool Overlap(KvAdapter one, KvAdapter other) =>
        one.Namespace == other.Namespace && !(one.IsReadOnly && other.IsReadOnly)
        && (one.Prefix.StartsWith(other.Prefix, StringComparison.Ordinal) || other.Prefix.StartsWith(one.Prefix, StringComparison.Ordinal));

    private static OptionsValidationException Refused(KvAdapter adapter, string reason) =>
        new(adapter.Namespace, typeof(KvAdapter), [$"{adapter.RegisteredBy} on the KV namespace {VisibleKey.Quote(adapter.Namespace)}: {reason}"]);
}
