using System.Text;

namespace KvStore.CrashTests;

public sealed class KvDirectoryTests : IDisposable
{
    private readonly string _path = Directory.CreateTempSubdirectory("kvstore-directory-").FullName;

    public void Dispose() => Directory.Delete(_path, recursive: true);

    [Fact]
    public void File_is_replaced_as_a_whole_and_read_back()
    {
        using var directory = new KvDirectory(_path);
        directory.Read("state").Should().BeNull();
        directory.Replace("state", "a longer first content"u8);
        directory.Replace("state", "second"u8);

        directory.Exists("state").Should().BeTrue();
        directory.Read("state").Should().Equal(Encoding.UTF8.GetBytes("second"));
        directory.PathOf("state").Should().Be(Path.Combine(_path, "state"));
    }

    [Fact]
    public void Locked_directory_cannot_be_locked_again()
    {
        var directory = new KvDirectory(_path);
        var again = () => new KvDirectory(_path);
        again.Should().Throw<KvDirectoryLockedException>();
        directory.Dispose();
        again.Should().NotThrow().Which.Dispose();
    }

    [Fact]
    public void Power_cut_leaves_the_old_content_or_the_new_one()
    {
        for (var step = 0; ; step++)
        {
            var disk = new SimulatedDisk();
            using var before = new KvDirectory(disk);
            before.Replace("state", "old"u8);
            disk.CutAt(disk.Steps + step);
            try
            {
                before.Replace("state", "new"u8);
            }
            catch (IOException)
            {
            }

            if (!disk.IsOff)
            {
                step.Should().BeGreaterThan(3, "a replacement takes several steps");
                return;
            }

            for (var seed = 0; seed < 8; seed++)
            {
                using var after = new KvDirectory(disk.Restart(seed));
                Encoding.UTF8.GetString(after.Read("state")!).Should().BeOneOf(["old", "new"], $"the power went at step {step}, seed {seed}");
            }
        }
    }

    [Fact]
    public async Task Directory_of_a_namespace_is_recognised_and_can_be_deleted()
    {
        var ns = Path.Combine(_path, "ns");
        KvDirectory.HoldsNamespace(ns).Should().BeFalse("it does not exist");
        await using (var kv = await KvNamespace.OpenAsync("KV", new KvNamespaceOptions { Persistence = new FilePersistence(ns) }))
        {
            await kv.PutAsync("k", "v");
        }

        KvDirectory.HoldsNamespace(ns).Should().BeTrue();
        KvDirectory.HoldsNamespace(_path).Should().BeFalse();
        KvDirectory.Delete(ns);
        KvDirectory.Delete(ns);
        Directory.Exists(ns).Should().BeFalse();
    }
}
