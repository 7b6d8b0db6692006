namespace KvStore.Order;

/// <summary>The entries of a leaf whose scaled key equals that of a key. The key goes before, between or after them.</summary>
internal struct EntryRange
{
    /// <summary>The index of the first such entry, or where it would be.</summary>
    public int Low;

    /// <summary>The index after the last such entry.</summary>
    public int High;

    /// <summary>The scaled key.</summary>
    public int ScaledKey;

    /// <summary>Whether one of the entries is that of the key; known after their records were compared.</summary>
    public bool IsSame;
}
