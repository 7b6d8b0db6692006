using KvStore.Prefixes;

namespace KvStore;

/// <summary>Views of a namespace that show the keys with one prefix.</summary>
public static class KvPrefixExtensions
{
    /// <summary>
    /// The keys of a namespace that begin with a prefix, without the prefix, as a namespace: for a tenant, a feature or a test that shares
    /// a namespace with others.
    /// </summary>
    /// <remarks>
    /// <para>Every member adds the prefix to the keys that it is given and takes it off the keys that it returns. Nothing is copied, and a
    /// view has no state. A view of a view has both prefixes, the outer view's first.</para>
    /// <para>A key is at most as long as the namespace allows (<see cref="KvLimits.KeyBytesMax"/>) less the bytes of the prefix. Cursors of a
    /// namespace in this process are those of the keys without the prefix; another implementation's are passed through.
    /// <see cref="IKvNamespace.Name"/>, metrics, and messages about an entry are those of the namespace, with the whole key.</para>
    /// <para>A view is no protection: a prefix of one view may begin with that of another.</para>
    /// <para>Thread safety: the view's members, from any thread, as those of the namespace.</para>
    /// </remarks>
    /// <param name="kv">The namespace. It stays the property of the caller, who does not dispose it while the view is in use.</param>
    /// <param name="prefix">The prefix; empty for the namespace itself.</param>
    /// <returns>The view, which is an <see cref="IKvExtendedNamespace"/> where the namespace is one.</returns>
    /// <exception cref="ArgumentException">The prefix has an unpaired surrogate, or it is so long that no key fits behind it.</exception>
    public static IKvNamespace WithPrefix(this IKvNamespace kv, string prefix)
    {
        ArgumentNullException.ThrowIfNull(kv);
        ArgumentNullException.ThrowIfNull(prefix);
        return kv is IKvExtendedNamespace extended ? extended.WithPrefix(prefix)
            : prefix.Length == 0 ? kv
            : kv is PrefixedNamespace view ? new PrefixedNamespace(view.Inner, view.Prefix + prefix)
            : new PrefixedNamespace(kv, prefix);
    }

    /// <inheritdoc cref="WithPrefix(IKvNamespace, string)"/>
    public static IKvExtendedNamespace WithPrefix(this IKvExtendedNamespace kv, string prefix)
    {
        ArgumentNullException.ThrowIfNull(kv);
        ArgumentNullException.ThrowIfNull(prefix);
        return prefix.Length == 0 ? kv
            : kv is PrefixedExtendedNamespace view ? new PrefixedExtendedNamespace(view.InnerExtended, view.Prefix + prefix)
            : new PrefixedExtendedNamespace(kv, prefix);
    }
}
