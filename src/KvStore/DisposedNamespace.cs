namespace KvStore;

/// <summary>The one exception of every call that comes during or after the disposal of a namespace.</summary>
internal static class DisposedNamespace
{
    /// <summary>The exception, which names the namespace.</summary>
    public static ObjectDisposedException Named(string name) =>
        new(name, $"The namespace \"{name}\" was disposed; nothing can be read or written any more.");
}
