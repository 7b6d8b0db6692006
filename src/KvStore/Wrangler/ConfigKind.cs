namespace KvStore.Wrangler;

/// <summary>The kind of a value in a Wrangler file. Numbers and dates are <see cref="Other"/>, because KvStore reads no such setting.</summary>
internal enum ConfigKind
{
    Object,
    Array,
    Text,
    Boolean,
    Null,
    Other,
}
