using System.Text;
using FsCheck;
using FsCheck.Fluent;
using KvStore.Engine;

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
        var windows = KeyWindow.Of(x, shared).CompareTo(KeyWindow.Of(y, shared));
        return order * windows >= 0;
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Every_byte_is_in_order_in_every_place()
    {
        for (var place = 0; place < KeyWindow.BytesMax; place++)
        {
            var last = 0UL;
            for (var value = 0; value < 256; value++)
            {
                var key = Encoding.UTF8.GetBytes(new string('k', KeyWindow.BytesMax));
                key[place] = (byte)value;
                var window = KeyWindow.Of(key, 0);
                (window >> KeyWindow.Bits).Should().Be(0);
                window.Should().BeGreaterThanOrEqualTo(last);
                last = window;
            }
        }
    }

    [Fact]
    public void Letters_and_digits_are_distinguished()
    {
        var windows = "0123456789abcdefghijklmnopqrstuvwxyz".Select(c => KeyWindow.Of([(byte)c], 0)).ToList();

        windows.Should().OnlyHaveUniqueItems();
    }

    [Fact]
    public void Position_beyond_the_end_of_a_key_sorts_lowest()
    {
        KeyWindow.Of("abc"u8, 3).Should().Be(0);
        KeyWindow.Of("abc"u8, 1).Should().Be(KeyWindow.Of("abc\0"u8, 1));
        KeyWindow.Of("abc"u8, 1).Should().BeLessThan(KeyWindow.Of("abc0"u8, 1));
    }
}
