namespace KvStore;

/// <summary>The operations that a token allows.</summary>
public enum KvAccess
{
    /// <summary>Get and list.</summary>
    Read,

    /// <summary>Get, list, put and delete; with a token for all namespaces also create, rename and delete namespaces.</summary>
    ReadWrite,
}
