namespace KvStore.OutputCaching;

/// <summary>Says which exceptions are failures of the namespace, which a cache survives, and not mistakes of a caller.</summary>
internal static class StoreFailure
{
    /// <summary>Whether the namespace has refused something, its disk has failed, or it is closed.</summary>
    public static bool Is(Exception exception) => exception is KvException or KvPersistenceException or ObjectDisposedException or IOException;
}
