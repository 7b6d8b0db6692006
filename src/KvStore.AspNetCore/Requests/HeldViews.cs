namespace KvStore.Requests;

/// <summary>
/// Gives the files of large values back when a request has done with them, so that what was replaced goes from the disk at
/// once and not when the garbage collector finds the view.
/// </summary>
internal sealed class HeldViews(IKvNamespace kv, IEnumerable<KvValue> values) : IDisposable
{
    public void Dispose()
    {
        foreach (var value in values)
        {
            Release(kv, value);
        }
    }

    /// <summary>Gives one back. A namespace of this process makes a new view for each get, so nobody else has this one.</summary>
    public static void Release(IKvNamespace kv, in KvValue value)
    {
        if (value.IsLarge && kv is KvNamespace)
        {
            value.Release();
        }
    }
}
