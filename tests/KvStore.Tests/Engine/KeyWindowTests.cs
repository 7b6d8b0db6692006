using System.Text;
using FsCheck;
using FsCheck.Fluent;
using KvStore.Order;

namespace KvStore.Tests.Engine;

/// <summary>The number that stands for a part of a key in the ordered index.</summary>
public sealed class KeyWindowTests
{
    [Fact]
    public void A_key_before_another_never_has_the_higher_number() => Prop.ForAll<byte[], byte[], byte>((x, y, start) =>
    {
        // What both share before the window does not count.
        var shared = Math.Min(start % 4, Math.Min(x.Length, y.Length));
        x.AsSpan(0, shared).CopyTo(y);
        var order = Math.Sign(x.AsSpan().SequenceCompareTo(y));
        var windows = AbbreviatedKey.Of(x, shared).CompareTo(AbbreviatedKey.Of(y, shared));
        return order * windows >= 0;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Every_byte_is_in_order_in_every_place()
    {
        for (var place = 0; place < AbbreviatedKey.BytesMax; place++)
        {
            var last = 0UL;
            for (var value = 0; value < 256; value++)
            {
                var key = Encoding.UTF8.GetBytes(new string('k', AbbreviatedKey.BytesMax));
                key[place] = (byte)value;
                var window = AbbreviatedKey.Of(key, 0);
                (window >> AbbreviatedKey.Bits).Should().Be(0);
                window.Should().BeGreaterThanOrEqualTo(last);
                last = window;
            }
        }
    }

    [Fact]
    public void Letters_and_digits_are_distinguished()
    {
        var windows = "0123456789abcdefghijklmnopqrstuvwxyz".Select(c => AbbreviatedKey.Of([(byte)c], 0)).ToList();

        windows.Should().OnlyHaveUniqueItems();
    }

    [Fact]
    public void Position_beyond_the_end_of_a_key_sorts_lowest()
    {
        AbbreviatedKey.Of("abc"u8, 3).Should().Be(0);
        AbbreviatedKey.Of("abc"u8, 1).Should().Be(AbbreviatedKey.Of("abc\0"u8, 1));
        AbbreviatedKey.Of("abc"u8, 1).Should().BeLessThan(AbbreviatedKey.Of("abc0"u8, 1));
    }
}
