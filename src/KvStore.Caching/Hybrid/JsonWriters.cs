using System.Buffers;
using System.Text.Json;

namespace KvStore.Hybrid;

/// <summary>Writers of JSON, one for each thread, because each has buffers of its own.</summary>
internal static class JsonWriters
{
    [ThreadStatic]
    private static Utf8JsonWriter? s_writer;

    /// <summary>Takes the writer of this thread, or a new one while it is in use.</summary>
    public static Utf8JsonWriter Take(IBufferWriter<byte> target)
    {
        if (s_writer is not { } writer)
        {
            return new Utf8JsonWriter(target);
        }

        s_writer = null;
        writer.Reset(target);
        return writer;
    }

    /// <summary>Gives a writer back. What was written without a flush is lost: the serializer has flushed, or has failed.</summary>
    public static void Return(Utf8JsonWriter writer)
    {
        writer.Reset();
        s_writer = writer;
    }
}
