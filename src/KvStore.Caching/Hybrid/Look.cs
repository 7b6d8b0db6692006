namespace KvStore.Hybrid;

/// <summary>What became of a look for a value.</summary>
internal enum Look
{
    /// <summary>There is none.</summary>
    Missing,

    /// <summary>There is one.</summary>
    Found,

    /// <summary>Only a look that may wait tells: the value is in a file, or the namespace is not in this process.</summary>
    Waits,

    /// <summary>The namespace has failed, which counts as missing.</summary>
    Failed,
}
