using Xunit.Abstractions;

namespace KvStore.RealPartsTests;

/// <summary>File systems that are really full, and then are not.</summary>
public sealed class FullDiskTests(ITestOutputHelper output)
{
    [RealPartTheory(RealPart.Mounts, RealPart.LoopDevices)]
    [InlineData("ext4")]
    [InlineData("tmpfs")]
    public async Task Disk_that_fills_and_is_freed_completes_every_call_and_loses_nothing(string kind)
    {
        using var disk = SmallDisk.Mount(kind, megabytes: 24);

        var child = await new Child(
            "full-disk", $"disk={disk.Directory}", $"rounds={LongForm.Times(kind == "ext4" ? 12 : 25)}", $"seed={LongForm.Seed}").RunAsync();

        foreach (var note in child.Notes)
        {
            output.WriteLine(note);
        }

        child.MustHaveDone();
        child.History.Calls.Should().Contain(call => call.Outcome == Outcome.Refused, "the disk was full");
    }

    [RealPartTheory(RealPart.Mounts, RealPart.LoopDevices)]
    [InlineData("tmpfs", 12, Durability.Buffered, 64 * 1024)]
    [InlineData("tmpfs", 12, Durability.Interval, 256 * 1024)]
    [InlineData("ext4", 16, Durability.Buffered, 256 * 1024)]
    [InlineData("ext4", 16, Durability.Interval, 64 * 1024)]
    public async Task Disk_full_of_replaced_values_keeps_all_that_was_acknowledged(string kind, int megabytes, Durability durability, int logBytes)
    {
        using var disk = SmallDisk.Mount(kind, megabytes);

        var child = await new Child(
            "replaced-values",
            $"disk={disk.Directory}",
            $"durability={durability}",
            $"log-bytes={logBytes}",
            $"rounds={LongForm.Times(3)}",
            $"seed={LongForm.Seed}").RunAsync();

        foreach (var note in child.Notes)
        {
            output.WriteLine(note);
        }

        child.MustHaveDone();
        child.History.Calls.Should().Contain(call => call.Outcome == Outcome.Refused, "the disk was full");
    }
}
