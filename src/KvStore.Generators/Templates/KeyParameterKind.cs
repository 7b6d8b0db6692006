namespace KvStore.Generators.Templates;

/// <summary>How a parameter becomes text in a key.</summary>
internal enum KeyParameterKind
{
    Text,
    Integer,
    Guid,
    Date,
    Boolean,
    Enum,
}
