namespace KvStore.AotTests;

/// <summary>A typed namespace, completed by the generator.</summary>
[KvNamespace("FLAGS", JsonContext = typeof(ModelJson))]
internal partial interface IFlags
{
    [KvKey("flag:{tenant}:{number}:{day}", TtlSeconds = 3600)]
    KvTypedEntry<Preference, FlagState> Flag(string tenant, DayOfWeek day, int number);

    KvTypedEntries<Preference, FlagState> Flags(string tenant);

    [KvKey("text/{id}")]
    KvTypedEntry<string, string> Text(Guid id);
}
