using System.Text.Json;
using System.Text.Json.Serialization;
using KvStore;

namespace EdgeSite;

/// <summary>What visitors have chosen.</summary>
[KvNamespace("SESSIONS_KV")]
internal partial interface ISessions
{
    /// <summary>How long a choice is kept: 90 days.</summary>
    const int ThemeSeconds = 90 * 24 * 60 * 60;

    /// <summary>The theme of a session.</summary>
    [KvKey("theme:{session}", TtlSeconds = ThemeSeconds)]
    KvTypedEntry<string, KvMetadata> Theme(string session);
}

/// <summary>What everybody sees.</summary>
[KvNamespace("MESSAGES_KV")]
internal partial interface IMessages
{
    /// <summary>The pinned message.</summary>
    [KvKey("pinned")]
    KvTypedEntry<string, KvMetadata> Pinned();
}

/// <summary>The feature flags of the tenants. All that there is to say of a flag is its metadata; its value is empty.</summary>
[KvNamespace("FLAGS_KV", JsonContext = typeof(SiteJson))]
internal partial interface IFlags
{
    /// <summary>One flag.</summary>
    [KvKey("flag:{tenant}:{name}")]
    KvTypedEntry<string, FlagInfo> Flag(string tenant, string name);

    /// <summary>The flags of a tenant.</summary>
    KvTypedEntries<string, FlagInfo> Flags(string tenant);
}

/// <summary>What a flag's metadata holds.</summary>
internal sealed record FlagInfo(bool Enabled, DateTimeOffset CreatedAt, string CreatedBy);

/// <summary>Reads and writes what is JSON.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(FlagInfo))]
[JsonSerializable(typeof(Rates))]
internal sealed partial class SiteJson : JsonSerializerContext;
