namespace KvStore.AspNetCore.Tests;

public sealed class CatalogTests
{
    [Fact]
    public async Task A_namespace_is_found_by_its_id_and_by_its_title()
    {
        await using var catalog = await KvNamespaceCatalog.OpenAsync();

        var created = await catalog.CreateAsync("settings");

        created.Id.Should().MatchRegex("^[0-9a-f]{32}$");
        catalog.Find(created.Id).Should().BeSameAs(created);
        catalog.FindByIdOrTitle("settings").Should().BeSameAs(created);
    }
}
