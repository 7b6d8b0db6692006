namespace KvStore.Caching.Tests.Hybrid;

public sealed class HybridRestartTests
{
    [Fact]
    public async Task Values_of_all_types_survive_a_restart()
    {
        await using var host = new HybridHost(isPersisted: true);
        var basket = new Basket { Owner = "ada", Items = { "book" } };
        await host.Cache.GetOrCreateAsync("created", _ => new ValueTask<Basket>(basket));
        await host.Cache.SetAsync("price", new Price("book", 10));
        await host.Cache.SetAsync("text", "text");
        await host.Cache.SetAsync("empty", "");
        await host.Cache.SetAsync<string?>("null text", null);
        await host.Cache.SetAsync<Basket?>("null basket", null);
        await host.Cache.SetAsync<byte[]?>("null bytes", null);
        await host.Cache.SetAsync("bytes", new byte[] { 1, 2 });
        await host.Cache.SetAsync("large", new byte[500_000]);
        await host.Cache.SetAsync(new string('k', 1000), 7);
        await host.Cache.SetAsync("~tilde", 8);
        for (var restarts = 0; restarts < 2; restarts++)
        {
            await host.RestartAsync();
            (await GetAsync<Basket>("created")).Should().BeEquivalentTo(basket);
            (await GetAsync<Price>("price")).Should().Be(new Price("book", 10));
            (await GetAsync<Price>("price")).Should().BeSameAs(await GetAsync<Price>("price"));
            (await GetAsync<string>("text")).Should().Be("text");
            (await GetAsync<string>("empty")).Should().BeEmpty();
            (await GetAsync<string?>("null text")).Should().BeNull();
            (await GetAsync<Basket?>("null basket")).Should().BeNull();
            (await GetAsync<byte[]?>("null bytes")).Should().BeNull();
            (await GetAsync<byte[]>("bytes")).Should().Equal(1, 2);
            (await GetAsync<byte[]>("large")).Should().HaveCount(500_000);
            (await GetAsync<int>(new string('k', 1000))).Should().Be(7);
            (await GetAsync<int>("~tilde")).Should().Be(8);
        }

        host.Log.Warnings.Should().BeEmpty();
        ValueTask<T> GetAsync<T>(string key) => host.Cache.GetOrCreateAsync<T>(key, _ => throw new InvalidOperationException($"{key} is gone"));
    }

    [Fact]
    public async Task Entry_expires_while_the_application_is_stopped()
    {
        await using var host = new HybridHost(isPersisted: true);
        await host.Cache.SetAsync("a", "1", new() { Expiration = TimeSpan.FromSeconds(30) });
        await host.Cache.SetAsync("b", "1", new() { Expiration = TimeSpan.FromSeconds(31) });
        host.Fake.Advance(TimeSpan.FromSeconds(30));
        await host.RestartAsync();
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<string>("again"))).Should().Be("again");
        (await host.Cache.GetOrCreateAsync("b", _ => new ValueTask<string>("again"))).Should().Be("1");
    }

    [Fact]
    public async Task Value_of_an_older_program_that_cannot_be_read_is_logged_and_created_again()
    {
        await using var host = new HybridHost(isPersisted: true);
        await host.Cache.SetAsync("a", "not a number, but a secret");
        await host.RestartAsync();
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<int>(7))).Should().Be(7);
        (await host.Cache.GetOrCreateAsync("a", _ => new ValueTask<int>(8))).Should().Be(7);
        host.Log.Warnings.Should().ContainSingle().Which.Should().Contain("\"a\"").And.Contain("System.Int32").And.NotContain("secret");
    }
}
