using System.Diagnostics;
using System.Text;
using KvStore.Reads;
using KvStore.Rules;

namespace KvStore.Prefixes;

/// <summary>The keys of a namespace that begin with a prefix, without the prefix.</summary>
/// <remarks>
/// <para>Where the namespace is one of this process, limits of keys are checked here, so that messages count the bytes of the keys that
/// the caller knows; and cursors are those of a namespace that has only these keys. The cursors of another implementation are its own,
/// and are passed through.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal class PrefixedNamespace : IRenamedNamespace
{
    // The limits in terms of the keys without the prefix; null where nothing is known of the limits.
    private readonly KvLimits? _limits;
    private readonly byte[] _prefixBytes;

    /// <param name="inner">The namespace, which is not prefixed itself.</param>
    /// <param name="prefix">The prefix, not empty.</param>
    /// <exception cref="ArgumentException">The prefix is not Unicode, or leaves no byte for a key.</exception>
    public PrefixedNamespace(IKvNamespace inner, string prefix)
    {
        Debug.Assert(inner is not IRenamedNamespace && prefix.Length > 0);
        if (!KeyRules.IsUnicode(prefix))
        {
            throw new ArgumentException("The prefix has an unpaired surrogate, which no key can hold.", nameof(prefix));
        }

        Inner = inner;
        Prefix = prefix;
        _prefixBytes = Encoding.UTF8.GetBytes(prefix);
        if (inner is ILocalNamespace local)
        {
            var room = local.Limits.KeyBytesMax - _prefixBytes.Length;
            if (room < 1)
            {
                throw new ArgumentException(
                    Invariant($"A prefix of {_prefixBytes.Length} bytes leaves no room for a key in the namespace {VisibleKey.Quote(inner.Name)}, where a key has at most {local.Limits.KeyBytesMax} bytes."),
                    nameof(prefix));
            }

            _limits = local.Limits with { KeyBytesMax = room };
        }
    }

    /// <inheritdoc/>
    public IKvNamespace Inner { get; }

    /// <summary>What the keys of the namespace begin with.</summary>
    public string Prefix { get; }

    public string Name => Inner.Name;

    public ValueTask<KvValue> GetAsync(string key, KvGetOptions? options = null, CancellationToken cancellationToken = default) =>
        Inner.GetAsync(InnerKeyOf(key, "GET"), options, cancellationToken);

    public async ValueTask<IReadOnlyDictionary<string, KvValue>> GetManyAsync(
        IReadOnlyCollection<string> keys, KvGetOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(keys);
        if (_limits is not null)
        {
            ReadRules.CheckKeyCount(keys.Count, _limits);
        }

        var innerKeys = new List<string>(keys.Count);
        foreach (var key in keys)
        {
            KeyRules.CheckInBulk(key, KeyBytesMax);
            innerKeys.Add(Prefix + key);
        }

        var values = await Inner.GetManyAsync(innerKeys, options, cancellationToken).ConfigureAwait(false);
        var result = new OrderedDictionary<string, KvValue>(values.Count, StringComparer.Ordinal);
        foreach (var (key, value) in values)
        {
            result.Add(OuterKeyOf(key), value);
        }

        return result;
    }

    public ValueTask PutAsync(
        string key, KvContent content, KvPutOptions? options = null, CancellationToken cancellationToken = default) =>
        Inner.PutAsync(InnerKeyOf(key, "PUT"), content, options, cancellationToken);

    public ValueTask DeleteAsync(string key, CancellationToken cancellationToken = default) =>
        Inner.DeleteAsync(InnerKeyOf(key, "DELETE"), cancellationToken);

    public ValueTask<KvListPage> ListAsync(KvListOptions? options = null, CancellationToken cancellationToken = default)
    {
        var list = Inner.ListAsync(InnerOptionsOf(options ?? new KvListOptions()), cancellationToken);
        return list.IsCompletedSuccessfully ? new(OuterPageOf(list.Result)) : Await(list);

        async ValueTask<KvListPage> Await(ValueTask<KvListPage> list) => OuterPageOf(await list.ConfigureAwait(false));
    }

    /// <inheritdoc/>
    public string InnerKeyOf(string key, string operation)
    {
        KeyRules.CheckShape(key, KeyBytesMax, operation);
        return Prefix + key;
    }

    public override string ToString() => $"{Name}, keys that begin with {VisibleKey.Quote(Prefix)}";

    /// <summary>The key here of a key of the namespace.</summary>
    protected string OuterKeyOf(string innerKey)
    {
        Debug.Assert(innerKey.StartsWith(Prefix, StringComparison.Ordinal), "Only keys with the prefix were asked for.");
        return innerKey[Prefix.Length..];
    }

    /// <summary>The most bytes of a key here.</summary>
    protected int KeyBytesMax => _limits?.KeyBytesMax ?? int.MaxValue;

    /// <summary>The prefix in the namespace of a prefix here.</summary>
    /// <exception cref="KvException">It is too long (414) or not Unicode (400).</exception>
    protected string InnerPrefixOf(string? prefix, string operation)
    {
        KeyRules.CheckPrefix(prefix ?? "", KeyBytesMax, operation);

        return Prefix + prefix;
    }

    private KvListOptions InnerOptionsOf(KvListOptions options)
    {
        var cursor = options.Cursor;
        if (_limits is not null)
        {
            var request = ListRequest.Parse(options, _limits);
            cursor = request.After.Length == 0 ? null : ListCursor.After([.. _prefixBytes, .. request.After]);
        }

        return options with { Prefix = Prefix + options.Prefix, Cursor = cursor };
    }

    private KvListPage OuterPageOf(KvListPage page)
    {
        var keys = new KvListKey[page.Keys.Count];
        for (var i = 0; i < keys.Length; i++)
        {
            var key = page.Keys[i];
            keys[i] = key.WithName(OuterKeyOf(key.Name));
        }

        return new KvListPage(keys, OuterCursorOf(page.Cursor), page.CacheStatus);
    }

    private string? OuterCursorOf(string? cursor)
    {
        if (cursor is null || _limits is null)
        {
            return cursor;
        }

        var after = ListCursor.Parse(cursor, _limits.KeyBytesMax + _prefixBytes.Length).AsSpan();
        Debug.Assert(after.StartsWith(_prefixBytes), "A page ends with a key that has the prefix.");
        return ListCursor.After(after[_prefixBytes.Length..]);
    }
}
