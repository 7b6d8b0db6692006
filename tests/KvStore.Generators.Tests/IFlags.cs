namespace KvStore.Generators.Tests;

/// <summary>The interface of the documentation, and one method for each type that a key may hold.</summary>
[KvNamespace("FLAGS", JsonContext = typeof(TestJson))]
internal partial interface IFlags
{
    /// <summary>One flag of a tenant.</summary>
    [KvKey("flag:{tenant}:{name}", TtlSeconds = 3600)]
    KvTypedEntry<Flag, FlagInfo> Flag(string tenant, string name);

    /// <summary>All flags of a tenant.</summary>
    KvTypedEntries<Flag, FlagInfo> Flags(string tenant);

    /// <summary>One flag, as a listing.</summary>
    [KvKey("flag:{tenant}:{name}")]
    KvTypedEntries<Flag, FlagInfo> FlagsNamed(string tenant, string name);

    /// <summary>All flags of all tenants.</summary>
    KvTypedEntries<Flag, FlagInfo> AllFlags();

    /// <summary>Text, with metadata of any kind.</summary>
    [KvKey("motd")]
    KvTypedEntry<string, KvMetadata> Motd();

    /// <summary>Its listing.</summary>
    KvTypedEntries<string, KvMetadata> Motds();

    /// <summary>Bytes, by everything that can stand in a key.</summary>
    [KvKey("report/{id}/{kind}/{day}/{number}/{big}/{isFinal}/{class}")]
    KvTypedEntry<ReadOnlyMemory<byte>, string> Report(ReportKind kind, Guid id, DateOnly day, int number, long big, bool isFinal, string @class);

    /// <summary>Those of one id.</summary>
    [KvKey("report/{id}/{kind}/{day}/{number}/{big}/{isFinal}/{class}")]
    KvTypedEntries<ReadOnlyMemory<byte>, string> Reports(Guid id);
}
