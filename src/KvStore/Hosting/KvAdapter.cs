using System.Diagnostics;
using System.Runtime.CompilerServices;
using KvStore.Diagnostics;
using KvStore.Rules;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore;

/// <summary>
/// An adapter: code that keeps the data of a framework in a namespace, for example its cached pages under <c>pages/</c>. Registered with
/// <c>services.AddKvAdapter</c>, it is checked when the host starts, and its requests are counted.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
public sealed record KvAdapter
{
    private readonly TagList _tags;
    private readonly string _name = "";
    private readonly string _namespace = "";

    /// <summary>What the adapter is, in metrics and messages: <c>output_cache</c>. An application has one adapter of each name.</summary>
    public required string Name
    {
        get => _name;
        init
        {
            ArgumentException.ThrowIfNullOrWhiteSpace(value);
            _name = value;
            _tags = new TagList { { "kvstore.adapter", value }, { "db.namespace", _namespace } };
        }
    }

    /// <summary>The name of the namespace, for example <c>CACHE_KV</c>.</summary>
    public required string Namespace
    {
        get => _namespace;
        init
        {
            ArgumentException.ThrowIfNullOrWhiteSpace(value);
            _namespace = value;
            _tags = new TagList { { "kvstore.adapter", _name }, { "db.namespace", value } };
        }
    }

    /// <summary>What the keys of the adapter begin with, for example <c>pages/</c>; empty for all keys of the namespace.</summary>
    public required string Prefix { get; init; }

    /// <summary>The call that registered the adapter, for messages: <c>AddKvOutputCache</c>.</summary>
    public required string RegisteredBy { get; init; }

    /// <summary>
    /// Whether the adapter writes nothing. Adapters that write have keys of their own in a namespace; those that only read may share
    /// theirs with each other.
    /// </summary>
    public bool IsReadOnly { get; init; }

    /// <summary>Whether an entry must stay until it expires or is deleted, so that the namespace may not evict entries.</summary>
    public bool RefusesEviction { get; init; }

    /// <summary>
    /// What a user loses when an entry is evicted before it expires, for a warning in the log when the namespace evicts entries: <c>a visitor is signed
    /// out</c>. Null where nothing is lost that is not made again.
    /// </summary>
    public string? LostByEviction { get; init; }

    /// <summary>
    /// The shortest time to live that the adapter writes; null when it writes none. Adapters that need a shorter one than 60 seconds
    /// keep the moment in the entry, and give the store 60 seconds.
    /// </summary>
    public TimeSpan? ExpirationTtlMin { get; init; }

    /// <summary>The longest key that the adapter writes, in bytes with the prefix.</summary>
    public int KeyBytesMax { get; init; } = 512;

    /// <summary>The largest metadata that the adapter writes, in bytes; 0 when it writes none.</summary>
    public int MetadataBytesMax { get; init; }

    /// <summary>Whether somebody listens to the requests of adapters, so that <see cref="CountRequest"/> does something.</summary>
    public static bool IsCounted => KvMetrics.AdapterRequests.Enabled;

    /// <summary>The namespace of the adapter in a container. Opens it, if nothing has opened it before.</summary>
    /// <typeparam name="TNamespace">As what the adapter uses it: <see cref="IKvExtendedNamespace"/>, or <see cref="KvNamespace"/>.</typeparam>
    /// <param name="provider">The container.</param>
    /// <returns>The namespace.</returns>
    /// <exception cref="InvalidOperationException">
    /// The container has no such namespace; the message says what to write. A host says so when it starts; code without a host gets here.
    /// </exception>
    public TNamespace GetNamespace<TNamespace>(IServiceProvider provider)
        where TNamespace : class, IKvNamespace
    {
        ArgumentNullException.ThrowIfNull(provider);
        return provider.GetKeyedService<TNamespace>(Namespace) ?? throw new InvalidOperationException(
            $"{RegisteredBy}: no KV namespace named {VisibleKey.Quote(Namespace)} is registered. Register it: services.AddKvNamespace({VisibleKey.Quote(Namespace)}).");
    }

    /// <summary>Counts a request in the instrument <c>kvstore.adapter.requests</c>. Free of allocations, and nearly of cost while nobody listens.</summary>
    /// <param name="operation">What was asked for: <c>get</c>.</param>
    /// <param name="outcome">What became of it: <c>hit</c>, <c>miss</c>, <c>ok</c>, <c>error</c>.</param>
    public void CountRequest(string operation, string outcome)
    {
        if (KvMetrics.AdapterRequests.Enabled)
        {
            Count(operation, outcome);
        }
    }

    // By itself, because the list of tags costs its method a stack frame of 300 bytes that is cleared in every call.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Count(string operation, string outcome)
    {
        var tags = _tags;
        tags.Add("db.operation.name", operation);
        tags.Add("kvstore.outcome", outcome);
        KvMetrics.AdapterRequests.Add(1, tags);
    }
}
