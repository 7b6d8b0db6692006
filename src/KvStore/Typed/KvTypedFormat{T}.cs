using System.ComponentModel;

namespace KvStore;

/// <summary>How values and metadata of one type are written and read. Made by <see cref="KvTypedFormat"/>.</summary>
/// <typeparam name="T">The type.</typeparam>
[EditorBrowsable(EditorBrowsableState.Never)]
public abstract class KvTypedFormat<T>
{
    private protected KvTypedFormat()
    {
    }

    /// <summary>Reads a value that exists and is in memory.</summary>
    internal abstract T? Read(in KvValue value);

    /// <summary>Writes a value.</summary>
    internal abstract KvContent Write(T value);

    /// <summary>Reads metadata that is not null.</summary>
    internal abstract T? ReadMetadata(in KvMetadata metadata);

    /// <summary>Writes metadata.</summary>
    internal abstract KvMetadata WriteMetadata(T metadata);
}
