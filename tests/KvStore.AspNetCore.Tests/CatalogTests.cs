using KvStore.Catalog;
using KvStore.TestKit.Persistence;

namespace KvStore.AspNetCore.Tests;

public sealed class CatalogTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-catalog-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_namespace_is_found_by_its_id_and_by_its_title()
    {
        await using var catalog = await KvNamespaceCatalog.OpenAsync();

        var created = await catalog.CreateAsync("settings");

        created.Id.Should().MatchRegex("^[0-9a-f]{32}$");
        catalog.Find(created.Id).Should().BeSameAs(created);
        catalog.FindByIdOrTitle(created.Id).Should().BeSameAs(created);
        catalog.FindByIdOrTitle("settings").Should().BeSameAs(created);
        catalog.Find("settings").Should().BeNull();
        catalog.FindByIdOrTitle("Settings").Should().BeNull();
    }

    [Fact]
    public async Task Namespaces_their_titles_and_their_entries_survive_a_restart()
    {
        string id;
        await using (var catalog = await OpenAsync())
        {
            var a = await catalog.CreateAsync("a");
            await a.Namespace.PutAsync("k", "of a");
            id = a.Id;
            await (await catalog.CreateAsync("b")).Namespace.PutAsync("k", "of b");
            await catalog.RenameAsync(id, "renamed ../../é");
        }

        await using var again = await OpenAsync();
        again.Entries.Select(entry => entry.Title).Should().Equal("b", "renamed ../../é");
        (await again.Find(id)!.Namespace.GetTextAsync("k")).Should().Be("of a");
        (await again.FindByIdOrTitle("b")!.Namespace.GetTextAsync("k")).Should().Be("of b");
    }

    [Fact]
    public async Task A_title_never_becomes_a_path()
    {
        await using (var catalog = await OpenAsync())
        {
            foreach (var title in new[] { "../escaped", "/etc/escaped", "..", "C:\\escaped" })
            {
                var entry = await catalog.CreateAsync(title);
                Directory.Exists(Path.Combine(_directory, "namespaces", entry.Id)).Should().BeTrue();
            }
        }

        Directory.GetFileSystemEntries(Path.GetDirectoryName(_directory)!, "escaped").Should().BeEmpty();
        Directory.GetDirectories(Path.Combine(_directory, "namespaces")).Should().HaveCount(4);
    }

    [Fact]
    public async Task A_deleted_namespace_takes_its_files_along_and_leaves_what_was_read()
    {
        await using var catalog = await OpenAsync();
        var entry = await catalog.CreateAsync("gone");
        await entry.Namespace.PutAsync("k", "still here");
        await entry.Namespace.PutAsync("large", new byte[1_000_000]);
        var read = await entry.Namespace.GetAsync("k");
        var large = await entry.Namespace.GetAsync("large");
        await using var stream = large.OpenStream();

        await catalog.DeleteAsync(entry.Id);

        read.GetText().Should().Be("still here");
        (await ReadAsync(stream)).Should().HaveCount(1_000_000);
        Directory.GetDirectories(Path.Combine(_directory, "namespaces")).Should().BeEmpty();
        catalog.Find(entry.Id).Should().BeNull();
        var get = async () => await entry.Namespace.GetAsync("k");
        await get.Should().ThrowAsync<ObjectDisposedException>();
        (await catalog.CreateAsync("gone")).Id.Should().NotBe(entry.Id);
    }

    [Fact]
    public async Task A_deletion_that_a_crash_interrupted_is_finished_when_the_catalog_is_opened()
    {
        string id;
        await using (var catalog = await OpenAsync())
        {
            id = (await catalog.CreateAsync("doomed")).Id;
            await catalog.Find(id)!.Namespace.PutAsync("k", "v");
        }

        // As the file stands between the two steps of a deletion.
        await File.WriteAllTextAsync(
            Path.Combine(_directory, "catalog.json"), $$"""{"version":1,"namespaces":[],"deleting":["{{id}}"]}""");

        await using var again = await OpenAsync();
        again.Entries.Should().BeEmpty();
        Directory.Exists(Path.Combine(_directory, "namespaces", id)).Should().BeFalse();
        (await File.ReadAllTextAsync(Path.Combine(_directory, "catalog.json"))).Should().NotContain(id);
    }

    [Fact]
    public async Task Files_that_no_catalogue_mentions_are_left_alone()
    {
        var stray = Directory.CreateDirectory(Path.Combine(_directory, "namespaces", "0123456789abcdef0123456789abcdef")).FullName;
        await File.WriteAllTextAsync(Path.Combine(stray, "precious"), "bytes");

        await using var catalog = await OpenAsync();

        File.Exists(Path.Combine(stray, "precious")).Should().BeTrue();
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("""{"version":2,"namespaces":[],"deleting":[]}""")]
    [InlineData("""{"version":1,"namespaces":[],"deleting":["../.."]}""")]
    [InlineData("""{"version":1,"namespaces":[{"id":"..","title":"t"}],"deleting":[]}""")]
    public async Task A_catalogue_that_cannot_be_understood_is_an_error_and_stays_as_it_is(string content)
    {
        var path = Path.Combine(_directory, "catalog.json");
        await File.WriteAllTextAsync(path, content);

        var open = async () => await OpenAsync();

        (await open.Should().ThrowAsync<KvDamagedFileException>()).Which.Message.Should().Contain("catalog.json");
        (await File.ReadAllTextAsync(path)).Should().Be(content);
    }

    [Fact]
    public async Task Only_one_at_a_time_has_the_directory_open()
    {
        await using var catalog = await OpenAsync();

        var second = async () => await OpenAsync();

        await second.Should().ThrowAsync<KvDirectoryLockedException>();
        (await catalog.CreateAsync("unharmed")).Should().NotBeNull();
    }

    [Fact]
    public async Task Namespaces_registered_in_code_keep_their_id_and_are_not_changed_by_the_catalog()
    {
        await using var registered = KvNamespace.Create("CACHE_KV");
        string id;
        await using (var catalog = await KvNamespaceCatalog.OpenAsync(new KvCatalogOptions { Directory = _directory }, [registered]))
        {
            var entry = catalog.FindByIdOrTitle("CACHE_KV")!;
            id = entry.Id;
            entry.Namespace.Should().BeSameAs(registered);
            entry.IsRegistered.Should().BeTrue();
            (await Refusal(() => catalog.DeleteAsync(id))).Should().Be(KvCatalogError.Registered);
            (await Refusal(async () => await catalog.RenameAsync(id, "x"))).Should().Be(KvCatalogError.Registered);
            (await Refusal(async () => await catalog.CreateAsync("CACHE_KV"))).Should().Be(KvCatalogError.TitleTaken);
        }

        await registered.PutAsync("k", "the catalog does not dispose it");
        await using var again = await KvNamespaceCatalog.OpenAsync(new KvCatalogOptions { Directory = _directory }, [registered]);
        again.FindByIdOrTitle("CACHE_KV")!.Id.Should().Be(id);
    }

    [Fact]
    public async Task A_name_in_code_that_is_a_title_on_the_disk_is_an_error_that_says_so()
    {
        await using (var catalog = await OpenAsync())
        {
            await catalog.CreateAsync("CACHE_KV");
        }

        await using var registered = KvNamespace.Create("CACHE_KV");
        var open = async () => await KvNamespaceCatalog.OpenAsync(new KvCatalogOptions { Directory = _directory }, [registered]);

        (await open.Should().ThrowAsync<KvCatalogException>()).Which.Message.Should().Contain("CACHE_KV");
        await using var without = await OpenAsync();
        without.Entries.Should().ContainSingle();
    }

    [Fact]
    public async Task Changes_at_the_same_time_go_one_after_the_other_and_lose_nothing()
    {
        await using (var catalog = await OpenAsync())
        {
            await Task.WhenAll(Enumerable.Range(0, 20).Select(i => Task.Run(async () =>
            {
                var entry = await catalog.CreateAsync($"n{i}");
                if (i % 2 == 0)
                {
                    await catalog.DeleteAsync(entry.Id);
                }
                else
                {
                    await catalog.RenameAsync(entry.Id, $"renamed{i}");
                }
            })));
            var same = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => Task.Run(() => Refusal(async () => await catalog.CreateAsync("same")))));
            same.Count(refusal => refusal is null).Should().Be(1);
        }

        await using var again = await OpenAsync();
        again.Entries.Should().HaveCount(11);
    }

    [Fact]
    public async Task A_power_cut_at_any_step_leaves_the_catalogue_from_before_a_change_or_after_it()
    {
        for (var step = 0; ; step++)
        {
            var disk = new SimulatedDisk();
            var before = await KvNamespaceCatalog.OpenAsync(new KvCatalogOptions(), new CatalogFile(new KvDirectory(disk)), registered: null);
            var kept = await before.CreateAsync("kept");
            var doomed = await before.CreateAsync("doomed");
            disk.CutAt(disk.Steps + step);
            try
            {
                await before.RenameAsync(kept.Id, "renamed");
                await before.DeleteAsync(doomed.Id);
                await before.CreateAsync("created");
            }
            catch (IOException)
            {
            }

            if (!disk.IsOff)
            {
                step.Should().BeGreaterThan(10, "every change takes several steps");
                return;
            }

            for (var seed = 0; seed < 8; seed++)
            {
                await using var after = await KvNamespaceCatalog.OpenAsync(new KvCatalogOptions(), new CatalogFile(new KvDirectory(disk.Restart(seed))), registered: null);
                var titles = string.Join(",", after.Entries.Select(entry => entry.Title));
                titles.Should().BeOneOf(
                    ["doomed,kept", "doomed,renamed", "renamed", "created,renamed"], $"the power went at step {step}, seed {seed}");
            }
        }
    }

    private static async Task<KvCatalogError?> Refusal(Func<ValueTask> change)
    {
        try
        {
            await change();
            return null;
        }
        catch (KvCatalogException e)
        {
            return e.Error;
        }
    }

    private static async Task<byte[]> ReadAsync(Stream stream)
    {
        using var copy = new MemoryStream();
        await stream.CopyToAsync(copy);
        return copy.ToArray();
    }

    private ValueTask<KvNamespaceCatalog> OpenAsync() => KvNamespaceCatalog.OpenAsync(new KvCatalogOptions { Directory = _directory });
}
