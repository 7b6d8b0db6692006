namespace KvStore.Tests.Contract;

/// <summary>Values that are created where they are not there.</summary>
public abstract partial class KvExtendedNamespaceContract
{
    [Fact]
    public async Task Created_value_is_read_by_every_later_call_and_after_a_restart()
    {
        (await Kv.GetOrCreateAsync("k", _ => new ValueTask<int>(1))).Should().Be(1);
        (await Kv.GetOrCreateAsync("k", _ => new ValueTask<int>(2))).Should().Be(1);
        await ReopenAsync();

        (await Kv.GetOrCreateAsync("k", _ => new ValueTask<int>(3))).Should().Be(1);
    }

    [Fact]
    public async Task Stale_value_after_a_restart_is_returned_and_refreshed()
    {
        var options = new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(100), StaleFor = TimeSpan.FromSeconds(100) };
        await Kv.GetOrCreateAsync("k", _ => new ValueTask<int>(1), options);
        Clock.Advance(TimeSpan.FromSeconds(101));
        await ReopenAsync();

        (await Kv.GetOrCreateAsync("k", _ => new ValueTask<int>(2), options)).Should().Be(1);

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (await Kv.GetOrCreateAsync("k", _ => new ValueTask<int>(2), options) == 1)
        {
            await Task.Delay(1, limit.Token);
        }
    }

    [Fact]
    public async Task Put_while_the_factory_creates_wins()
    {
        var created = await Kv.GetOrCreateAsync("k", async ct =>
        {
            await Kv.PutAsync("k", "7", options: null, ct);
            return 1;
        });

        created.Should().Be(1);
        (await Kv.GetTextAsync("k")).Should().Be("7");
    }

    [Fact]
    public async Task Delete_while_the_factory_refreshes_wins()
    {
        var options = new KvGetOrCreateOptions { ExpirationTtl = TimeSpan.FromSeconds(100), StaleOnError = TimeSpan.FromSeconds(100) };
        await Kv.GetOrCreateAsync("k", _ => new ValueTask<int>(1), options);
        Clock.Advance(TimeSpan.FromSeconds(101));

        var refreshed = await Kv.GetOrCreateAsync(
            "k",
            async ct =>
            {
                await Kv.DeleteAsync("k", ct);
                return 2;
            },
            options);

        refreshed.Should().Be(2);
        (await Kv.ExistsAsync("k")).Should().BeFalse();
    }

    [Fact]
    public async Task Large_value_is_created_and_read()
    {
        var text = new string('x', 300_000);
        for (var i = 0; i < 3; i++)
        {
            (await Kv.GetOrCreateAsync("k", _ => new ValueTask<string>(text))).Should().Be(text);
        }

        (await Kv.GetAsync("k")).Length.Should().Be(300_002);
    }
}
