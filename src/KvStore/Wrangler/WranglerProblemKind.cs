namespace KvStore.Wrangler;

/// <summary>The kinds of errors in a Wrangler file. The generator has a diagnostic id for each.</summary>
internal enum WranglerProblemKind
{
    /// <summary>The file has a syntax error, or a setting has a value of the wrong kind.</summary>
    Broken,

    /// <summary>An entry of <c>kv_namespaces</c> has no <c>binding</c>, or one that is not a valid name of a namespace.</summary>
    MissingBinding,

    /// <summary>Two entries of one environment have the same <c>binding</c>.</summary>
    DoubledBinding,
}
