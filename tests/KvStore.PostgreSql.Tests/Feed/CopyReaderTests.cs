using System.Buffers.Binary;
using FsCheck;
using FsCheck.Fluent;
using KvStore.PostgreSql.Feed;

namespace KvStore.PostgreSql.Tests.Feed;

/// <summary>The binary format of COPY, well formed and damaged, in parts of any length.</summary>
public sealed class CopyReaderTests
{
    private const int HeaderBytes = 19;

    [Fact]
    public void Any_rows_in_any_parts_are_read_as_they_were_written() =>
        Prop.ForAll(Arb.From(Answers()), answer => Equal(Read(answer.Bytes, answer.Columns, answer.Parts), answer.Rows)).QuickCheckThrowOnFailure();

    [Fact]
    public void Answer_that_ends_early_is_refused_wherever_it_ends()
    {
        var rows = new byte[]?[][] { ["key"u8.ToArray(), null, []], [new byte[100], new byte[8], "value"u8.ToArray()] };
        var whole = Write(rows, 3);
        for (var length = 0; length < whole.Length; length++)
        {
            var damaged = FluentActions.Invoking(() => Read(whole[..length], 3, [7])).Should().Throw<KvPersistenceException>().Which;
            damaged.Message.Should().StartWith("The answer of PostgreSQL to COPY is damaged: it ends ");
        }

        Equal(Read(whole, 3, [7]), rows).Should().BeTrue();
    }

    [Fact]
    public void Damaged_bytes_are_read_as_other_rows_or_refused() => Prop.ForAll(
        Arb.From(
            from answer in Answers()
            from changes in Gen.NonEmptyListOf(
                from place in Gen.Choose(0, answer.Bytes.Length - 1)
                from value in Gen.Choose(0, 255)
                select (Place: place, Value: (byte)value))
            select (Answer: answer, Changes: changes)),
        damaged =>
        {
            var bytes = damaged.Answer.Bytes.ToArray();
            foreach (var (place, value) in damaged.Changes)
            {
                bytes[place] = value;
            }

            try
            {
                foreach (var row in Read(bytes, damaged.Answer.Columns, damaged.Answer.Parts))
                {
                    row.Should().HaveCount(damaged.Answer.Columns);
                }
            }
            catch (KvPersistenceException e)
            {
                e.Message.Should().StartWith("The answer of PostgreSQL to COPY is damaged: ");
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

    [Theory]
    [InlineData(-2, "column 1 has a length of -2 bytes")]
    [InlineData(int.MinValue, "column 1 has a length of -2147483648 bytes")]
    [InlineData(int.MaxValue, "column 1 has a length of 2147483647 bytes")]
    [InlineData(0x3FFF_FFFF, "it ends in the middle of a row")]
    [InlineData(4, "it ends in the middle of a row")]
    public void Wrong_length_is_refused_before_memory_is_taken_for_it(int length, string message)
    {
        var bytes = Write([["key"u8.ToArray()]], 1);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(HeaderBytes + sizeof(short)), length);
        var allocated = GC.GetAllocatedBytesForCurrentThread();

        FluentActions.Invoking(() => Read(bytes, 1, [1000])).Should().Throw<KvPersistenceException>().WithMessage($"*{message}*");

        (GC.GetAllocatedBytesForCurrentThread() - allocated).Should().BeLessThan(64 << 20);
    }

    [Fact]
    public void Wrong_number_of_columns_is_refused() => FluentActions.Invoking(() => Read(Write([["k"u8.ToArray(), []]], 2), 3, [1000]))
        .Should().Throw<KvPersistenceException>().WithMessage("*a row has 2 columns instead of 3*");

    [Fact]
    public void Answer_that_goes_on_after_its_end_is_refused() => FluentActions.Invoking(() => Read([.. Write([], 1), 0], 1, [1]))
        .Should().Throw<KvPersistenceException>().WithMessage("*it goes on after its end mark*");

    [Fact]
    public void Text_in_place_of_the_binary_format_is_refused() => FluentActions.Invoking(() => Read("key\tvalue\n"u8.ToArray(), 2, [1000]))
        .Should().Throw<KvPersistenceException>().WithMessage("*it does not begin with the signature of the binary format*");

    [Theory]
    [InlineData(0x0000_0001u, 0, null)]
    [InlineData(0u, 7, null)]
    [InlineData(0x0001_0000u, 0, "its header has the flags 00010000")]
    [InlineData(0u, -1, "an extension of -1 bytes")]
    public void Header_is_understood_or_refused(uint flags, int extension, string? message)
    {
        var whole = Write([["key"u8.ToArray()]], 1);
        byte[] bytes = [.. whole[..HeaderBytes], .. new byte[Math.Max(0, extension)], .. whole[HeaderBytes..]];
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(11), flags);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(15), extension);
        var read = FluentActions.Invoking(() => Read(bytes, 1, [3]));
        if (message is null)
        {
            Equal(read(), [["key"u8.ToArray()]]).Should().BeTrue();
        }
        else
        {
            read.Should().Throw<KvPersistenceException>().WithMessage($"*{message}*");
        }
    }

    [Fact]
    public void Row_that_is_longer_than_the_buffer_is_read_between_short_ones()
    {
        var random = new Random(3);
        var large = new byte[1_000_000];
        random.NextBytes(large);
        var rows = Enumerable.Range(0, 300).Select(i => new byte[]?[] { [(byte)i], i % 100 == 50 ? large : new byte[random.Next(2000)] }).ToArray();

        Equal(Read(Write(rows, 2), 2, [8192, 1, 300]), rows).Should().BeTrue();
    }

    [Fact]
    public async Task Columns_of_fixed_length_are_checked()
    {
        var reader = new CopyReader(new PartStream(Write([[[0, 0, 0, 0, 0, 0, 1, 2], [255, 254], null, [1, 2, 3]]], 4), [5]), 4);
        (await reader.ReadAsync(CancellationToken.None)).Should().BeTrue();

        reader.Int64(0).Should().Be(258);
        reader.NullableInt64(0).Should().Be(258);
        reader.Int16(1).Should().Be(-2);
        reader.NullableInt64(2).Should().BeNull();
        reader.Invoking(row => row.Int64(1)).Should().Throw<KvPersistenceException>().WithMessage("*column 2 has 2 bytes instead of 8*");
        reader.Invoking(row => row.Int16(3)).Should().Throw<KvPersistenceException>().WithMessage("*column 4 has 3 bytes instead of 2*");
        reader.Invoking(row => row.Int64(2)).Should().Throw<KvPersistenceException>().WithMessage("*column 3 is null*");
        reader.Invoking(row => row.Bytes(2)).Should().Throw<KvPersistenceException>().WithMessage("*column 3 is null*");
    }

    private static Gen<Answer> Answers() =>
        from columns in Gen.Choose(1, 9)
        from rows in Gen.ListOf(Gen.ArrayOf(Fields(), columns))
        from parts in Gen.NonEmptyListOf(Gen.Choose(1, 300))
        select new Answer(rows.ToArray(), columns, parts.ToArray());

    private static Gen<byte[]?> Fields() => Gen.Frequency(
        (1, Gen.Constant<byte[]?>(null)),
        (8, Gen.Choose(0, 40).SelectMany(length => Gen.ArrayOf(Gen.Choose(0, 255).Select(static value => (byte)value), length)).Select(static bytes => (byte[]?)bytes)));

    private static bool Equal(List<byte[]?[]> read, byte[]?[][] written) =>
        read.Count == written.Length && read.Zip(written).All(static rows => rows.First.Zip(rows.Second).All(
            static fields => fields.First is null ? fields.Second is null : fields.Second is not null && fields.First.SequenceEqual(fields.Second)));

    private static List<byte[]?[]> Read(byte[] bytes, int columns, int[] parts)
    {
        var reader = new CopyReader(new PartStream(bytes, parts), columns);
        var rows = new List<byte[]?[]>();
        while (reader.ReadAsync(CancellationToken.None).AsTask().GetAwaiter().GetResult())
        {
            rows.Add([.. Enumerable.Range(0, columns).Select(column => reader.IsNull(column) ? null : reader.Bytes(column).ToArray())]);
        }

        return rows;
    }

    private static byte[] Write(byte[]?[][] rows, int columns)
    {
        var bytes = new List<byte>([(byte)'P', (byte)'G', (byte)'C', (byte)'O', (byte)'P', (byte)'Y', (byte)'\n', 0xFF, (byte)'\r', (byte)'\n', 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        foreach (var row in rows)
        {
            bytes.AddRange([0, (byte)columns]);
            foreach (var field in row)
            {
                var length = new byte[sizeof(int)];
                BinaryPrimitives.WriteInt32BigEndian(length, field?.Length ?? -1);
                bytes.AddRange(length);
                bytes.AddRange(field ?? []);
            }
        }

        bytes.AddRange([255, 255]);
        return [.. bytes];
    }

    private sealed record Answer(byte[]?[][] Rows, int Columns, int[] Parts)
    {
        public byte[] Bytes { get; } = Write(Rows, Columns);
    }

    /// <summary>Gives at most so many bytes a call, in turn; the calls of every other one complete later.</summary>
    private sealed class PartStream(byte[] bytes, int[] parts) : MemoryStream(bytes)
    {
        private int _calls;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var part = parts[_calls % parts.Length];
            if (_calls++ % 2 == 1)
            {
                await Task.Yield();
            }

            return Read(buffer.Span[..Math.Min(part, buffer.Length)]);
        }
    }
}
