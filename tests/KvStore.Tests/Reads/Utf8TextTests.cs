using System.Text;
using KvStore.Records;

namespace KvStore.Tests.Reads;

/// <summary>What bytes become as text: the same as the framework makes of them, whatever they are.</summary>
public sealed class Utf8TextTests
{
    private const int Longest = 300;

    [Fact]
    public void Ascii_of_every_length_is_the_text_itself()
    {
        var random = new Random(1);
        for (var length = 0; length <= Longest; length++)
        {
            var bytes = RandomAscii(random, length);

            Utf8Text.Decode(bytes).Should().Be(Encoding.ASCII.GetString(bytes));
        }
    }

    [Fact]
    public void A_byte_that_is_not_ascii_is_noticed_wherever_it_stands()
    {
        var random = new Random(1);
        for (var length = 1; length <= Longest; length++)
        {
            for (var place = 0; place < length; place++)
            {
                var bytes = RandomAscii(random, length);
                bytes[place] = (byte)random.Next(0x80, 0x100);

                Utf8Text.Decode(bytes).Should().Be(Encoding.UTF8.GetString(bytes));
            }
        }
    }

    [Theory]
    [InlineData(4095)]
    [InlineData(4096)]
    [InlineData(4097)]
    [InlineData(100_000)]
    public void Long_text_is_decoded_as_well(int length)
    {
        var bytes = RandomAscii(new Random(1), length);
        Utf8Text.Decode(bytes).Should().Be(Encoding.ASCII.GetString(bytes));
        "ü"u8.CopyTo(bytes.AsSpan(length - 2));
        Utf8Text.Decode(bytes).Should().Be(Encoding.UTF8.GetString(bytes));
    }

    [Fact]
    public void Bytes_beside_the_text_are_not_decoded()
    {
        for (var length = 0; length <= 64; length++)
        {
            var bytes = new byte[length + 64];
            bytes.AsSpan().Fill(0xFF);
            bytes.AsSpan(32, length).Fill((byte)'a');

            Utf8Text.Decode(bytes.AsSpan(32, length)).Should().Be(new string('a', length));
        }
    }

    private static byte[] RandomAscii(Random random, int length)
    {
        var bytes = new byte[length];
        foreach (ref var value in bytes.AsSpan())
        {
            value = (byte)random.Next(0x80);
        }

        return bytes;
    }
}
