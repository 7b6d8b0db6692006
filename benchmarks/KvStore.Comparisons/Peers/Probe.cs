namespace KvStore.Comparisons.Peers;

/// <summary>Checks whether a database runs here. Its package may have no library for this machine.</summary>
internal static class Probe
{
    /// <summary>Opens a database once.</summary>
    /// <returns>Null when it opened; else what is missing, for a table.</returns>
    public static string? Of(string name, Func<Peer> create)
    {
        try
        {
            create().Dispose();
            return null;
        }
        catch (Exception e) when (e.GetBaseException() is DllNotFoundException or BadImageFormatException or EntryPointNotFoundException)
        {
            return $"the package of {name} has no library for this machine";
        }
    }
}
