namespace KvStore.Wrangler;

/// <summary>The kinds of faults in a Wrangler file, which the generator reports under ids of their own.</summary>
internal enum WranglerProblemKind
{
    /// <summary>The file is not of its format, or a setting has a value of the wrong kind.</summary>
    Broken,

    /// <summary>An entry of <c>kv_namespaces</c> has no <c>binding</c>, or one that cannot name a namespace.</summary>
    MissingBinding,

    /// <summary>Two entries of one environment have the same <c>binding</c>.</summary>
    DoubledBinding,
}
