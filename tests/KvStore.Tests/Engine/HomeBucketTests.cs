using FsCheck;
using FsCheck.Fluent;
using KvStore.Index;
using KvStore.Segments;

namespace KvStore.Tests.Engine;

/// <summary>Where the bits of an entry say that it belongs in tables of other sizes.</summary>
public sealed class HomeBucketTests
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
            var entry = HomeBucket.Of(hash, slot, from);
            return !HomeBucket.IsDisplaced(entry) && Sizes().Where(to => HomeBucket.CanRehash(from, to)).All(to =>
            {
                var knownHash = HomeBucket.HashOf(entry, slot, from);
                var home = HomeBucket.HomeOf(knownHash, to);
                return home == HomeBucket.HomeOf(hash, to) && HomeBucket.Of(knownHash, home, to) == HomeBucket.Of(hash, home, to);
            });
        })).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Entry_in_another_bucket_is_marked_as_displaced()
    {
        Prop.ForAll(s_hashes.ToArbitrary(), Gen.Choose(0, int.MaxValue).ToArbitrary(), (hash, number) => Sizes().All(entryCount =>
        {
            var slot = number & (entryCount - HashBucket.Entries);
            return HomeBucket.IsDisplaced(HomeBucket.Of(hash, slot, entryCount)) == (slot != HomeBucket.HomeOf(hash, entryCount));
        })).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Three_of_four_doublings_and_every_shrinking_rehash_without_reading_the_key()
    {
        Sizes().Zip(Sizes().Skip(1)).Where(pair => !HomeBucket.CanRehash(pair.First, pair.Second))
            .Select(pair => pair.Second / HashBucket.Entries).Should().Equal(1 << 2, 1 << 6, 1 << 10, 1 << 14, 1 << 18);
        Sizes().Should().AllSatisfy(from =>
            Sizes().Where(to => to <= from).Should().AllSatisfy(to => HomeBucket.CanRehash(from, to).Should().BeTrue()));
    }

    [Fact]
    public void Displacement_bits_overlap_no_other_part_of_an_entry()
    {
        (HomeBucket.Mask & (HashEntry.TagMask | HashEntry.TombstoneBit | RecordAddress.Mask)).Should().Be(0);
        RecordAddress.Of(RecordAddress.SegmentIdEnd - 1, RecordAddress.SegmentBytesMax - 8).Should().Be(RecordAddress.Mask);
        (HomeBucket.Of(ulong.MaxValue, 0, 64) & ~HomeBucket.Mask).Should().Be(0);
    }

    private static IEnumerable<int> Sizes() => Enumerable.Range(0, SizesMax).Select(n => HashBucket.Entries << n);
}
