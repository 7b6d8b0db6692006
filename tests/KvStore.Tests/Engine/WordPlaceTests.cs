using FsCheck;
using FsCheck.Fluent;
using KvStore.Engine;

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
            var slot = WordPlace.HomeOf(hash, from) + (int)(hash >> 61);
            var word = WordPlace.Of(hash, slot, from);
            return !WordPlace.HasStrayed(word) && Sizes().Where(to => WordPlace.AreTold(from, to)).All(to =>
            {
                var told = WordPlace.HashOf(word, slot, from);
                var home = WordPlace.HomeOf(told, to);
                return home == WordPlace.HomeOf(hash, to) && WordPlace.Of(told, home, to) == WordPlace.Of(hash, home, to);
            });
        })).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Entry_in_another_bucket_is_marked_as_displaced()
    {
        Prop.ForAll(s_hashes.ToArbitrary(), Gen.Choose(0, int.MaxValue).ToArbitrary(), (hash, line) => Sizes().All(words =>
        {
            var slot = line & (words - WordLine.Words);
            return WordPlace.HasStrayed(WordPlace.Of(hash, slot, words)) == (slot != WordPlace.HomeOf(hash, words));
        })).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Three_of_four_doublings_and_every_shrinking_rehash_without_reading_the_key()
    {
        Sizes().Zip(Sizes().Skip(1)).Where(pair => !WordPlace.AreTold(pair.First, pair.Second))
            .Select(pair => pair.Second / WordLine.Words).Should().Equal(1 << 2, 1 << 6, 1 << 10, 1 << 14, 1 << 18);
        Sizes().Should().AllSatisfy(from =>
            Sizes().Where(to => to <= from).Should().AllSatisfy(to => WordPlace.AreTold(from, to).Should().BeTrue()));
    }

    [Fact]
    public void Displacement_bits_overlap_no_other_part_of_an_entry()
    {
        (WordPlace.Mask & (IndexWord.TagMask | IndexWord.TombstoneBit | IndexWord.AddressMask)).Should().Be(0);
        IndexWord.AddressOf(IndexWord.SegmentIdEnd - 1, IndexWord.SegmentBytesMax - 8).Should().Be(IndexWord.AddressMask);
        (WordPlace.Of(ulong.MaxValue, 0, 64) & ~WordPlace.Mask).Should().Be(0);
    }

    private static IEnumerable<int> Sizes() => Enumerable.Range(0, SizesMax).Select(n => WordLine.Words << n);
}
