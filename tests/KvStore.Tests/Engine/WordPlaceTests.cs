using FsCheck;
using FsCheck.Fluent;
using KvStore.Index;

namespace KvStore.Tests.Engine;

/// <summary>What a word tells of its place in tables of other sizes.</summary>
public sealed class WordPlaceTests
{
    private const int SizesMax = 20;

    private static readonly Gen<ulong> s_hashes =
        Gen.Choose(int.MinValue, int.MaxValue).Two().Select(halves => ((ulong)(uint)halves.Item1 << 32) | (uint)halves.Item2);

    [Fact]
    public void Entry_in_its_home_bucket_can_be_rehashed_without_reading_the_key()
    {
        Prop.ForAll(s_hashes.ToArbitrary(), hash => Sizes().All(from =>
        {
            var slot = HomeBucket.HomeOf(hash, from) + (int)(hash >> 61);
            var word = HomeBucket.Of(hash, slot, from);
            return !HomeBucket.HasStrayed(word) && Sizes().Where(to => HomeBucket.AreTold(from, to)).All(to =>
            {
                var told = HomeBucket.HashOf(word, slot, from);
                var home = HomeBucket.HomeOf(told, to);
                return home == HomeBucket.HomeOf(hash, to) && HomeBucket.Of(told, home, to) == HomeBucket.Of(hash, home, to);
            });
        })).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Entry_in_another_bucket_is_marked_as_displaced()
    {
        Prop.ForAll(s_hashes.ToArbitrary(), Gen.Choose(0, int.MaxValue).ToArbitrary(), (hash, line) => Sizes().All(words =>
        {
            var slot = line & (words - HashBucket.Words);
            return HomeBucket.HasStrayed(HomeBucket.Of(hash, slot, words)) == (slot != HomeBucket.HomeOf(hash, words));
        })).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Three_of_four_doublings_and_every_shrinking_rehash_without_reading_the_key()
    {
        Sizes().Zip(Sizes().Skip(1)).Where(pair => !HomeBucket.AreTold(pair.First, pair.Second))
            .Select(pair => pair.Second / HashBucket.Words).Should().Equal(1 << 2, 1 << 6, 1 << 10, 1 << 14, 1 << 18);
        Sizes().Should().AllSatisfy(from =>
            Sizes().Where(to => to <= from).Should().AllSatisfy(to => HomeBucket.AreTold(from, to).Should().BeTrue()));
    }

    [Fact]
    public void Displacement_bits_overlap_no_other_part_of_an_entry()
    {
        (HomeBucket.Mask & (HashEntry.TagMask | HashEntry.TombstoneBit | HashEntry.AddressMask)).Should().Be(0);
        HashEntry.AddressOf(HashEntry.SegmentIdEnd - 1, HashEntry.SegmentBytesMax - 8).Should().Be(HashEntry.AddressMask);
        (HomeBucket.Of(ulong.MaxValue, 0, 64) & ~HomeBucket.Mask).Should().Be(0);
    }

    private static IEnumerable<int> Sizes() => Enumerable.Range(0, SizesMax).Select(n => HashBucket.Words << n);
}
