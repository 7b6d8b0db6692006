using System.Numerics;
using System.Runtime.Intrinsics;
using System.Text;
using KvStore.Keys;

namespace KvStore.Tests.Keys;

/// <summary>One hash for a key in every form, and hashes that spread whatever keys have in common.</summary>
public sealed class KeyHashTests
{
    private const int Longest = 600;

    private static readonly Func<int, string>[] s_shapes =
    [
        i => $"user:{i}",
        i => $"user:{i:D8}:profile",
        i => $"{i:D16}{i:D16}",
        i => $"session:{i:x16}",
        i => $"a/quite/long/common/path/of/more/than/two/blocks/{i}/and/a/common/end",
        i => string.Concat(Enumerable.Range(0, 17).Select(bit => (i >> bit & 1) == 0 ? 'a' : 'b')),

        // Characters five apart, which a round brings together.
        i => $"{(char)('0' + (i & 63))}----{(char)('0' + (i >> 6 & 63))}----{(char)('0' + (i >> 12))}-----tail",
    ];

    [Fact]
    public void Text_and_its_bytes_have_the_same_hash_at_every_length()
    {
        var random = new Random(1);
        for (var length = 0; length <= Longest; length++)
        {
            var key = new string([.. Enumerable.Range(0, length).Select(_ => (char)random.Next(0x80))]);

            KeyHash.TryOfAscii(key, out var hash).Should().BeTrue();
            hash.Should().Be(KeyHash.OfUtf8(Encoding.UTF8.GetBytes(key)));
            if (TwoBlockKey.Fits(length))
            {
                TwoBlockKey.TryRead(key, out var blocks).Should().BeTrue();
                blocks.Hash.Should().Be(hash);
                TwoBlockKey.Read(Encoding.UTF8.GetBytes(key)).Hash.Should().Be(hash);
            }

            if (HalvesKey.Fits(length))
            {
                HalvesKey.TryRead(key, out var halves).Should().BeTrue();
                halves.Hash.Should().Be(hash);
            }
        }
    }

    [Fact]
    public void A_character_beyond_ASCII_is_noticed_wherever_it_stands()
    {
        foreach (var stranger in "\u0080\u00FF\u0100\u0141\u7FFF\u8000\uD800\uFFFF")
        {
            for (var length = 1; length <= 100; length++)
            {
                for (var at = 0; at < length; at++)
                {
                    var key = new string('a', at) + stranger + new string('a', length - at - 1);

                    KeyHash.TryOfAscii(key, out _).Should().BeFalse();
                    (TwoBlockKey.Fits(length) && TwoBlockKey.TryRead(key, out _)).Should().BeFalse();
                    (HalvesKey.Fits(length) && HalvesKey.TryRead(key, out _)).Should().BeFalse();
                }
            }
        }
    }

    [Fact]
    public void Key_in_registers_differs_from_every_key_that_differs_in_a_single_byte()
    {
        for (var length = 8; length <= TwoBlockKey.BytesMax; length++)
        {
            var key = new string([.. Enumerable.Range(0, length).Select(i => (char)('a' + i % 26))]);
            var same = Encoding.UTF8.GetBytes(key);
            DiffersFrom(key, same).Should().BeFalse();
            for (var at = 0; at < length; at++)
            {
                var other = (byte[])same.Clone();
                other[at] ^= 1;
                DiffersFrom(key, other).Should().BeTrue();
            }
        }
    }

    [Fact]
    public void A_key_in_registers_can_be_written_out_again()
    {
        for (var length = 8; length <= TwoBlockKey.BytesMax; length++)
        {
            var key = new string([.. Enumerable.Range(0, length).Select(i => (char)('a' + i % 26))]);
            var written = new byte[length];
            if (TwoBlockKey.Fits(length))
            {
                TwoBlockKey.TryRead(key, out var blocks);
                blocks.CopyTo(written);
            }
            else
            {
                HalvesKey.TryRead(key, out var halves);
                halves.CopyTo(written);
            }

            Encoding.UTF8.GetString(written).Should().Be(key);
        }
    }

    [Fact]
    public void Keys_with_much_in_common_have_unrelated_hashes()
    {
        foreach (var shape in s_shapes)
        {
            var hashes = Enumerable.Range(0, 100_000).Select(i => KeyHash.OfUtf8(Encoding.UTF8.GetBytes(shape(i)))).ToArray();

            hashes.Distinct().Should().HaveCount(hashes.Length);

            // The bits that a read goes by: shard, home line, and tag. Of 100,000 over 65,536 places some 51,300 are met by chance.
            foreach (var shift in new[] { 6, 42, 48 })
            {
                hashes.Select(hash => (ushort)(hash >> shift)).Distinct().Count().Should().BeInRange(50_000, 52_700);
            }
        }
    }

    [Fact]
    public void Each_bit_of_a_key_changes_half_of_the_bits_of_its_hash()
    {
        var random = new Random(2);
        foreach (var length in new[] { 1, 3, 4, 7, 8, 15, 16, 24, 31, 32, 33, 48, 64, 65, 100 })
        {
            var changed = 0L;
            var tries = 0;
            for (var round = 0; round < 50; round++)
            {
                var key = new byte[length];
                random.NextBytes(key);
                var before = KeyHash.OfUtf8(key);
                for (var bit = 0; bit < length * 8; bit++, tries++)
                {
                    key[bit / 8] ^= (byte)(1 << (bit % 8));
                    changed += BitOperations.PopCount(before ^ KeyHash.OfUtf8(key));
                    key[bit / 8] ^= (byte)(1 << (bit % 8));
                }
            }

            ((double)changed / tries).Should().BeInRange(30, 34);
        }
    }

    [Fact]
    public void Keys_of_zeros_differ_by_their_length()
    {
        Enumerable.Range(0, Longest).Select(length => KeyHash.OfUtf8(new byte[length])).Should().OnlyHaveUniqueItems();
    }

    [Fact]
    public void A_processor_without_the_instruction_mixes_as_well()
    {
        var (one, two, three) = (HashRound.NewSecret(), HashRound.NewSecret(), HashRound.NewSecret());
        ulong Hash(ulong low, ulong high)
        {
            var state = HashRound.ByMultiplication(Vector128.Create(low, high).AsByte() ^ one, two);
            return HashRound.ByMultiplication(HashRound.ByMultiplication(state, three), one).AsUInt64().ToScalar();
        }

        var hashes = Enumerable.Range(0, 100_000).SelectMany(i => new[] { Hash((ulong)i, 0), Hash(0, (ulong)(i + 1)), Hash((ulong)(i + 1) << 40, 7) }).ToArray();

        hashes.Distinct().Should().HaveCount(hashes.Length);
        hashes.Select(hash => (ushort)(hash >> 6)).Distinct().Count().Should().BeInRange(64_000, 65_536);
    }

    private static bool DiffersFrom(string key, byte[] stored)
    {
        if (TwoBlockKey.Fits(key.Length))
        {
            TwoBlockKey.TryRead(key, out var blocks).Should().BeTrue();
            return blocks.DiffersFrom(in stored[0]);
        }

        HalvesKey.TryRead(key, out var halves).Should().BeTrue();
        return halves.DiffersFrom(in stored[0]);
    }
}
