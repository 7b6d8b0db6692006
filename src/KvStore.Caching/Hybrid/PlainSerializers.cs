using System.Buffers;
using System.Text;
using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Hybrid;

/// <summary>Text as UTF-8. Text that is not Unicode is refused, because it could not be read back.</summary>
internal sealed class TextSerializer : IHybridCacheSerializer<string>
{
    private static readonly UTF8Encoding s_utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public string Deserialize(ReadOnlySequence<byte> source) => s_utf8.GetString(source);

    public void Serialize(string value, IBufferWriter<byte> target) => s_utf8.GetBytes(value, target);
}

/// <summary>Bytes as they are.</summary>
internal sealed class BytesSerializer : IHybridCacheSerializer<byte[]>
{
    public byte[] Deserialize(ReadOnlySequence<byte> source) => source.ToArray();

    public void Serialize(byte[] value, IBufferWriter<byte> target) => target.Write(value);
}
