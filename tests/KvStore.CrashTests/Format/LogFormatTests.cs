using System.Text;
using FsCheck;
using FsCheck.Fluent;
using KvStore.Memory;
using KvStore.Persistence.Log;
using KvStore.Records;

namespace KvStore.CrashTests.Format;

/// <summary>What is written is what is read, for any mutation; and nothing else is.</summary>
public sealed class LogFormatTests
{
    private const uint Seed = 0x1234_5678;

    private static Gen<byte[]> Bytes(int min, int max) =>
        from length in Gen.Choose(min, max)
        from seed in Gen.Choose(0, int.MaxValue)
        select RandomBytes(length, seed);

    private static Gen<KvMutation> Mutations =>
        from key in Gen.OneOf(Bytes(1, 40), Bytes(1, 4095))
        from metadata in Gen.OneOf(Gen.Constant<byte[]>([]), Bytes(0, 300), Bytes(65_000, 65_535))
        from value in Gen.OneOf(Bytes(0, 20), Bytes(0, 5000))
        from revision in Gen.Choose(1, int.MaxValue)
        from high in Gen.Choose(0, (int)(LogFormat.RevisionMax >> 31) - 2)
        from rounding in Gen.Choose(0, 3)
        from deadline in Gen.Choose(int.MinValue, int.MaxValue)
        from kind in Gen.Choose(0, 3)
        select kind switch
        {
            0 => new KvMutation { Key = key, Revision = ((long)high << 31) + revision, IsDelete = true },
            3 => new KvMutation
            {
                Key = key,
                Revision = ((long)high << 31) + revision + 1,
                TouchedRevision = (((long)high << 31) / 2) + revision,
                DeadlineSeconds = (uint)deadline,
                DeadlineRounding = (byte)rounding,
            },
            1 => new KvMutation
            {
                Key = key,
                Metadata = metadata,
                LargeValue = new KvValueReference(revision, ((long)high << 25) + value.Length) { Check = high % 3 == 0 ? 0 : ((long)deadline << 32) | 1 },
                Revision = revision,
                DeadlineSeconds = (uint)deadline,
                DeadlineRounding = (byte)rounding,
            },
            _ => new KvMutation { Key = key, Metadata = metadata, Value = value, Revision = revision, DeadlineSeconds = (uint)deadline, DeadlineRounding = (byte)rounding },
        };

    [Fact]
    public void Any_mutation_is_read_as_it_was_written() =>
        Prop.ForAll(Mutations.ToArbitrary(), mutation =>
        {
            var bytes = Written(mutation);
            (bytes.Length % LogFormat.Alignment).Should().Be(0);

            LogRecord.TryRead(bytes, Seed, out var record).Should().Be(RecordOutcome.Whole);
            record.Size.Should().Be(bytes.Length);
            record.FlushedThrough.Should().Be(4711);
            var read = record.ToMutation(bytes);

            read.Key.ToArray().Should().Equal(mutation.Key.ToArray());
            read.Metadata.ToArray().Should().Equal(mutation.Metadata.ToArray());
            read.Value.ToArray().Should().Equal(mutation.Value.ToArray());
            read.LargeValue.Should().Be(mutation.LargeValue);
            read.Revision.Should().Be(mutation.Revision);
            read.DeadlineSeconds.Should().Be(mutation.DeadlineSeconds);
            read.DeadlineRounding.Should().Be(mutation.DeadlineRounding);
            read.IsDelete.Should().Be(mutation.IsDelete);
            read.TouchedRevision.Should().Be(mutation.TouchedRevision);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_record_of_another_file_is_none() =>
        Prop.ForAll(Mutations.ToArbitrary(), mutation =>
            LogRecord.TryRead(Written(mutation), Seed + 1, out _).Should().Be(RecordOutcome.Wrong)).QuickCheckThrowOnFailure();

    [Fact]
    public void Truncated_record_is_distinguished_from_a_corrupt_one() =>
        Prop.ForAll(Mutations.ToArbitrary(), mutation =>
        {
            var bytes = Written(mutation);
            foreach (var length in new[] { 0, 1, 27, 28, bytes.Length / 2, bytes.Length - 1 }.Where(length => length < bytes.Length))
            {
                LogRecord.TryRead(bytes.AsSpan(0, length), Seed, out _).Should().Be(RecordOutcome.Cut);
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Bytes_of_chance_are_no_record() =>
        Prop.ForAll(Bytes(0, 300).ToArbitrary(), bytes =>
            LogRecord.TryRead(bytes, Seed, out _).Should().NotBe(RecordOutcome.Whole)).QuickCheckThrowOnFailure();

    [Fact]
    public void The_checksum_is_the_castagnoli_one_of_rfc_3720()
    {
        Crc32C.Compute("123456789"u8).Should().Be(0xE306_9283);
        Crc32C.Compute(new byte[32]).Should().Be(0x8A91_36AA);
        Crc32C.Compute(Enumerable.Repeat((byte)0xFF, 32).ToArray()).Should().Be(0x62A8_AB43);
        Crc32C.Compute([.. Enumerable.Range(0, 32).Select(i => (byte)i)]).Should().Be(0x46DD_794E);
        Crc32C.Compute([]).Should().Be(0);
    }

    [Fact]
    public void A_checksum_goes_on_where_another_one_ended() =>
        Prop.ForAll(Bytes(0, 100).ToArbitrary(), bytes =>
        {
            for (var cut = 0; cut <= bytes.Length; cut++)
            {
                Crc32C.Append(Crc32C.Compute(bytes.AsSpan(0, cut)), bytes.AsSpan(cut)).Should().Be(Crc32C.Compute(bytes));
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_file_is_named_after_its_number_and_what_it_is()
    {
        FileNames.Log(7).Should().Be("00000000000000000007.log");
        FileNames.Snapshot(long.MaxValue).Should().Be("09223372036854775807.snapshot");
        FileNames.TryParse(FileNames.Value(12), out var kind, out var number).Should().BeTrue();
        (kind, number).Should().Be((FileKind.Value, 12L));
        foreach (var other in new[] { "lock", "spare", "7.log", "00000000000000000000.log", "0000000000000000000x.log", "00000000000000000007.log.tmp", "00000000000000000007.txt" })
        {
            FileNames.TryParse(other, out _, out _).Should().BeFalse(other);
        }
    }

    [Fact]
    public void Record_of_a_touch_has_the_key_the_deadline_and_two_revisions_and_no_value()
    {
        var touch = new KvMutation
        {
            Key = "key"u8.ToArray(),
            Metadata = new byte[100],
            Value = new byte[10_000],
            Revision = 9,
            TouchedRevision = 7,
            DeadlineSeconds = 5,
            DeadlineRounding = 2,
        };
        var bytes = new byte[LogRecord.SizeOf(touch)];
        LogRecord.Lay(bytes, touch);
        LogRecord.Seal(bytes, Seed, 0);

        bytes.Should().HaveCount(40, "28 of the header, 3 of the key, 8 of the revision, and one zero");
        LogRecord.TryRead(bytes, Seed, out var record).Should().Be(RecordOutcome.Whole);
        (record.Kind, record.Revision, record.TouchedRevision, record.DeadlineSeconds, record.DeadlineRounding).Should().Be((RecordKind.Touch, 9, 7, 5, 2));
    }

    [Fact]
    public void Touch_of_a_large_value_is_written_as_the_put_that_it_also_is()
    {
        var touch = new KvMutation { Key = "key"u8.ToArray(), LargeValue = new KvValueReference(1, 2), Revision = 9, TouchedRevision = 7 };
        var bytes = new byte[LogRecord.SizeOf(touch)];
        LogRecord.Lay(bytes, touch);
        LogRecord.Seal(bytes, Seed, 0);

        LogRecord.TryRead(bytes, Seed, out var record).Should().Be(RecordOutcome.Whole);
        record.Kind.Should().Be(RecordKind.PutLarge);
        record.ToMutation(bytes).LargeValue.Should().Be(touch.LargeValue);
    }

    [Theory]
    [InlineData(9)]
    [InlineData(10)]
    [InlineData(-1)]
    public void Touch_of_a_revision_that_is_not_older_is_refused(long touched)
    {
        var act = () => LogRecord.SizeOf(new KvMutation { Key = "key"u8.ToArray(), Revision = 9, TouchedRevision = touched });

        act.Should().Throw<ArgumentException>();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(9)]
    [InlineData(long.MaxValue)]
    public void Record_of_a_touch_with_a_revision_that_cannot_be_is_none(long touched)
    {
        var touch = new KvMutation { Key = "key"u8.ToArray(), Revision = 9, TouchedRevision = 7 };
        var bytes = new byte[LogRecord.SizeOf(touch)];
        LogRecord.Lay(bytes, touch);
        BitConverter.TryWriteBytes(bytes.AsSpan(31), touched);
        LogRecord.Seal(bytes, Seed, 0);

        LogRecord.TryRead(bytes, Seed, out _).Should().Be(RecordOutcome.Wrong);
    }

    [Theory]
    [InlineData(0, 0, 1)]
    [InlineData(4096, 0, 1)]
    [InlineData(1, 65_536, 1)]
    [InlineData(1, 0, 0)]
    [InlineData(1, 0, -1)]
    public void A_mutation_that_the_format_cannot_hold_is_refused(int keyBytes, int metadataBytes, long revision)
    {
        var mutation = new KvMutation { Key = new byte[keyBytes], Metadata = new byte[metadataBytes], Revision = revision };

        var act = () => LogRecord.SizeOf(mutation);

        act.Should().Throw<ArgumentException>().WithMessage($"*this one has {keyBytes}, {metadataBytes}, 0, {revision} and 0*");
    }

    private static byte[] Written(KvMutation mutation)
    {
        // Full of something, so that a byte that is not written shows.
        var bytes = new byte[LogRecord.SizeOf(mutation)];
        Array.Fill(bytes, (byte)0xEE);
        LogRecord.Lay(bytes, mutation);
        LogRecord.Seal(bytes, Seed, 4711);
        var length = LogFormat.RecordHeaderBytes + mutation.Key.Length + mutation.Metadata.Length
            + (mutation.TouchedRevision != 0 ? 8 : mutation.LargeValue.IsNone ? mutation.Value.Length : mutation.LargeValue.Check == 0 ? 16 : 24);
        bytes.AsSpan(length).IndexOfAnyExcept((byte)0).Should().Be(-1, "what aligns the next record is zero");
        return bytes;
    }

    private static byte[] RandomBytes(int length, int seed)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
