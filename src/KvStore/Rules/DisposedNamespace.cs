namespace KvStore.Rules;

/// <summary>The exception for a call after disposal. It names the namespace, because an application may have several.</summary>
internal static class DisposedNamespace
{
    /// <summary>Makes the exception.</summary>
    public static ObjectDisposedException Exception(string name, Exception? cause = null) => cause is null
        ? new(name, MessageFor(name))
        : new(MessageFor(name), cause);

    private static string MessageFor(string name) => $"The namespace {VisibleKey.Quote(name)} was disposed.";
}
