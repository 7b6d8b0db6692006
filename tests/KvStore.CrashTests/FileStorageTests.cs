using KvStore.Persistence.Storage;

namespace KvStore.CrashTests;

public sealed class FileStorageTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-storage-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("missing", "")]
    [InlineData("missing", "/below")]
    [InlineData("file", "")]
    public void Link_to_no_directory_is_named_as_what_it_is(string target, string below)
    {
        File.WriteAllText(Path.Combine(_directory, "file"), "");
        var link = Path.Combine(_directory, "link");
        Directory.CreateSymbolicLink(link, Path.Combine(_directory, target));

        var open = () => new FileStorage(link + below);

        open.Should().Throw<DirectoryNotFoundException>().WithMessage($"{link} is a symbolic link to something that is no directory, or does not exist.");
    }

    [Fact]
    public async Task Listing_goes_on_while_files_come_and_go()
    {
        using var storage = new FileStorage(_directory);
        storage.Create("stays").Dispose();
        var rounds = 0;
        var changing = Task.Run(() =>
        {
            for (; rounds < 40; Interlocked.Increment(ref rounds))
            {
                for (var i = 0; i < 200; i++)
                {
                    storage.Create($"file {i}").Dispose();
                }

                for (var i = 0; i < 200; i++)
                {
                    storage.Delete($"file {i}");
                }
            }
        });

        while (Volatile.Read(ref rounds) < 40)
        {
            storage.List().Should().Contain(new StorageEntry("stays", 0));
        }

        await changing;
    }

    [Fact]
    public void A_directory_is_made_with_all_that_are_above_it()
    {
        using var storage = new FileStorage(Path.Combine(_directory, "a", "b", "c"));

        Directory.Exists(Path.Combine(_directory, "a", "b", "c")).Should().BeTrue();
        storage.List().Should().BeEmpty();
    }

    [Fact]
    public void A_length_that_no_file_can_have_fails_as_a_full_disk_does()
    {
        using var storage = new FileStorage(_directory);
        using var file = storage.Create("file");
        file.Write([1, 2, 3], 0);

        var grow = () => file.SetLength(long.MaxValue);
        var write = () => file.Write([4], long.MaxValue - 1);

        grow.Should().Throw<IOException>("nothing was written, and the next put may succeed");
        write.Should().Throw<IOException>();
        file.Length.Should().Be(3);
    }

    [Fact]
    public void A_file_that_grows_by_a_write_reads_as_zeros_in_between()
    {
        using var storage = new FileStorage(_directory);
        using var file = storage.Create("file");
        file.Write([1, 2, 3], 10);
        file.Flush();
        storage.FlushDirectory();

        var bytes = new byte[20];
        file.Read(bytes, 0).Should().Be(13);
        bytes[..13].Should().Equal(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3);
        file.SetLength(11);
        file.Length.Should().Be(11);
        file.Read(bytes, 11).Should().Be(0);
    }

    [Fact]
    public void A_rename_takes_the_place_of_what_has_the_name()
    {
        using var storage = new FileStorage(_directory);
        using (var file = storage.Create("old"))
        {
            file.Write([1], 0);
        }

        storage.Create("new").Dispose();

        storage.Rename("old", "new");

        storage.List().Should().Equal(new StorageEntry("new", 1));
        storage.Exists("old").Should().BeFalse();
        storage.Exists("new").Should().BeTrue();
    }

    [Fact]
    public void Creating_what_exists_is_an_error_and_deleting_what_does_not_is_none()
    {
        using var storage = new FileStorage(_directory);
        storage.Create("file").Dispose();
        var act = () => storage.Create("file");
        act.Should().Throw<IOException>();

        storage.Delete("file");
        storage.Delete("file");
        storage.List().Should().BeEmpty();
    }
}
