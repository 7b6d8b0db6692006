namespace KvStore.Wrangler;

/// <summary>What a value of a Wrangler file is. Numbers, dates and null are all <see cref="Other"/>: no setting that KvStore reads is one.</summary>
internal enum ConfigKind
{
    Object,
    Array,
    Text,
    Boolean,
    Other,
}
