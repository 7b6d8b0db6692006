using System.Globalization;

namespace KvStore.CrashTests;

public sealed class FilePersistenceOptionsTests
{
    public static TheoryData<FilePersistenceOptions, string> Wrong => new()
    {
        { new() { Durability = (Durability)7 }, "FilePersistenceOptions.Durability is 7; it must be Immediate, Interval or Buffered." },
        { new() { Interval = TimeSpan.Zero }, "FilePersistenceOptions.Interval is 00:00:00; it must be one millisecond to one hour." },
        { new() { Interval = TimeSpan.FromHours(2) }, "FilePersistenceOptions.Interval is 02:00:00; it must be one millisecond to one hour." },
        { new() { LogFileBytes = 4095 }, "FilePersistenceOptions.LogFileBytes is 4095; it must be 4096 to 1073741824 bytes." },
        { new() { CompactionDeadRatio = 0.05 }, "FilePersistenceOptions.CompactionDeadRatio is 0.05; it must be 0.1 to 100." },
        { new() { CompactionDeadRatio = double.NaN }, "FilePersistenceOptions.CompactionDeadRatio is NaN; it must be 0.1 to 100." },
        { new() { CompactionBytesMin = 0 }, "FilePersistenceOptions.CompactionBytesMin is 0; it must be at least 4096 bytes." },
        { new() { LargeValueBytes = 1023 }, "FilePersistenceOptions.LargeValueBytes is 1023; it must be 1024 to 16777216 bytes." },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void An_option_out_of_its_range_is_named_with_its_value_and_the_range(FilePersistenceOptions options, string message)
    {
        var act = () => new FilePersistence("directory", options);

        act.Should().Throw<ArgumentOutOfRangeException>().WithMessage(message + "*");
        Directory.Exists("directory").Should().BeFalse();
    }

    [Fact]
    public void A_negative_number_for_an_enum_reads_the_same_in_every_culture()
    {
        var culture = CultureInfo.CurrentCulture;
        var other = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        other.NumberFormat.NegativeSign = "\u2212";
        CultureInfo.CurrentCulture = other;
        try
        {
            var durability = () => new FilePersistence("directory", new() { Durability = (Durability)(-7) });
            var mode = () => new FilePersistence("directory", new() { UnixFileMode = (UnixFileMode)(-7) });

            durability.Should().Throw<ArgumentOutOfRangeException>().WithMessage("*Durability is -7; *").Which.Message.Should().NotContain("\u2212");
            mode.Should().Throw<ArgumentOutOfRangeException>().WithMessage("*UnixFileMode is -7; *").Which.Message.Should().NotContain("\u2212");
        }
        finally
        {
            CultureInfo.CurrentCulture = culture;
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("  ")]
    [InlineData(null)]
    public void A_directory_must_be_named(string? directory)
    {
        var act = () => new FilePersistence(directory!);

        act.Should().Throw<ArgumentException>();
    }
}
