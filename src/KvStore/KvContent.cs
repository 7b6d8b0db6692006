using System.IO.Pipelines;

namespace KvStore;

/// <summary>
/// What a put stores: text, bytes, a stream or a pipe. Converts implicitly from each of them, so that one
/// <see cref="IKvNamespace.PutAsync"/> takes them all.
/// </summary>
/// <remarks>
/// Text is stored as UTF-8. Bytes are copied when the put is called. A stream or pipe is read from its current position to its end,
/// and is neither closed nor rewound. When it fails or is too long, nothing is stored. The default value is no content: a put of it
/// throws <see cref="ArgumentException"/>. An empty text or array is a value.
/// </remarks>
public readonly struct KvContent
{
    // Distinguishes bytes, which may be empty, from the default value, which is no content.
    private static readonly object s_bytes = new();

    private readonly object? _source;
    private readonly ReadOnlyMemory<byte> _bytes;

    private KvContent(object? source, ReadOnlyMemory<byte> bytes)
    {
        _source = source;
        _bytes = bytes;
    }

    /// <summary>The text, when this is text.</summary>
    internal string? Text => _source as string;

    /// <summary>The stream, when this is a stream.</summary>
    internal Stream? Stream => _source as Stream;

    /// <summary>The pipe, when this is a pipe.</summary>
    internal PipeReader? Pipe => _source as PipeReader;

    /// <summary>Whether the value has to be read from a stream or pipe.</summary>
    internal bool IsStreamed => _source is System.IO.Stream or PipeReader;

    /// <summary>The bytes, when this is neither text nor streamed.</summary>
    internal ReadOnlyMemory<byte> Bytes => _bytes;

    /// <summary>Whether this is the default value, which is no content.</summary>
    internal bool IsDefault => _source is null;

    /// <summary>Stores text as UTF-8.</summary>
    /// <param name="text">The text.</param>
    public static implicit operator KvContent(string text) => FromString(text);

    /// <summary>Stores bytes.</summary>
    /// <param name="bytes">The bytes.</param>
    public static implicit operator KvContent(byte[] bytes) => FromBytes(bytes);

    /// <summary>Stores bytes.</summary>
    /// <param name="bytes">The bytes.</param>
    public static implicit operator KvContent(ReadOnlyMemory<byte> bytes) => FromBytes(bytes);

    /// <summary>Stores bytes.</summary>
    /// <param name="bytes">The bytes.</param>
    public static implicit operator KvContent(Memory<byte> bytes) => FromBytes(bytes);

    /// <summary>Stores what a stream yields until its end.</summary>
    /// <param name="stream">The stream.</param>
    public static implicit operator KvContent(Stream stream) => FromStream(stream);

    /// <summary>Stores what a pipe yields until it completes.</summary>
    /// <param name="pipe">
    /// The pipe. A put never completes it. The caller completes it, also when the put fails, so that the writer of the pipe does not
    /// wait for a reader that is gone.
    /// </param>
    public static implicit operator KvContent(PipeReader pipe) => FromPipe(pipe);

    /// <summary>Stores text as UTF-8.</summary>
    /// <param name="text">The text.</param>
    /// <returns>The content.</returns>
    public static KvContent FromString(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return new KvContent(text, default);
    }

    /// <summary>Stores bytes.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <returns>The content.</returns>
    public static KvContent FromBytes(byte[] bytes)
    {
        ArgumentNullException.ThrowIfNull(bytes);
        return new KvContent(s_bytes, bytes);
    }

    /// <summary>Stores bytes.</summary>
    /// <param name="bytes">The bytes.</param>
    /// <returns>The content.</returns>
    public static KvContent FromBytes(ReadOnlyMemory<byte> bytes) => new(s_bytes, bytes);

    /// <summary>Stores what a stream yields until its end.</summary>
    /// <param name="stream">The stream.</param>
    /// <returns>The content.</returns>
    public static KvContent FromStream(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return new KvContent(stream, default);
    }

    /// <summary>Stores what a pipe yields until it completes.</summary>
    /// <param name="pipe">The pipe.</param>
    /// <returns>The content.</returns>
    public static KvContent FromPipe(PipeReader pipe)
    {
        ArgumentNullException.ThrowIfNull(pipe);
        return new KvContent(pipe, default);
    }
}
