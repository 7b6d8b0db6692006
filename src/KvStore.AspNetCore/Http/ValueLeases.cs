namespace KvStore.Http;

/// <summary>
/// Disposes large values when a request has written them, so that the files of replaced values leave the disk at once.
/// </summary>
internal sealed class ValueLeases(IKvNamespace kv, IEnumerable<KvValue> values) : IDisposable
{
    public void Dispose()
    {
        foreach (var value in values)
        {
            Release(kv, value);
        }
    }

    /// <summary>
    /// Disposes a large value of a namespace in this process, which makes a new view for each get. Another implementation may hand
    /// out the same view more than once.
    /// </summary>
    public static void Release(IKvNamespace kv, in KvValue value)
    {
        if (value.IsLarge && kv is KvNamespace)
        {
            value.Dispose();
        }
    }
}
