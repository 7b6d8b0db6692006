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
}
