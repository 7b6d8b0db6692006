using System.Security.Claims;
using KvStore.AspNetCore.Tests.Adapters;
using KvStore.TestKit.Persistence;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvStore.AspNetCore.Tests.Tickets;

/// <summary>The store by itself, without cookies.</summary>
public sealed class KvTicketStoreTests
{
    private static readonly DateTimeOffset s_start = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private readonly FakeTimeProvider _time = new(s_start);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stored_ticket_is_retrieved_as_it_was_also_after_a_restart(bool persisted)
    {
        using var storage = Storage.Of(persisted);
        var ticket = TicketOf("ada", TimeSpan.FromHours(1), new Claim("role", "ä\n😀"));
        ticket.Properties.Items["custom"] = "item";
        string key;
        await using (var services = ServicesOn(storage))
        {
            key = await StoreIn(services).StoreAsync(ticket);
            Check(await StoreIn(services).RetrieveAsync(key));
        }

        if (persisted)
        {
            await using var restarted = ServicesOn(storage);
            Check(await StoreIn(restarted).RetrieveAsync(key));
        }

        void Check(AuthenticationTicket? retrieved)
        {
            retrieved!.Principal.FindFirstValue(ClaimTypes.NameIdentifier).Should().Be("ada");
            retrieved.Principal.FindFirstValue("role").Should().Be("ä\n😀");
            retrieved.AuthenticationScheme.Should().Be("Cookies");
            retrieved.Properties.ExpiresUtc.Should().Be(ticket.Properties.ExpiresUtc);
            retrieved.Properties.Items["custom"].Should().Be("item");
        }
    }

    [Fact]
    public async Task Every_key_is_new_and_has_256_random_bits()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);

        var keys = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => store.StoreAsync(TicketOf("ada@example.org"))));

        keys.Should().OnlyHaveUniqueItems();
        keys.Select(key => key.Split('/')[1]).Should().OnlyHaveUniqueItems().And.OnlyContain(random => System.Buffers.Text.Base64Url.DecodeFromChars(random).Length == 32);
        keys.Should().OnlyContain(key => !key.Contains("ada@"), "a list of keys does not show who is signed in");
    }

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    [InlineData("../other")]
    [InlineData("-/")]
    [InlineData("moved/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("-/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("-/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA😀")]
    public async Task Key_that_no_store_has_made_has_no_ticket(string key)
    {
        await using var services = ServicesOn(Storage.InMemory());

        (await StoreIn(services).RetrieveAsync(key)).Should().BeNull();
        await StoreIn(services).RemoveAsync(key);
    }

    [Fact]
    public async Task Renewing_a_key_that_no_store_has_made_is_refused()
    {
        await using var services = ServicesOn(Storage.InMemory());

        await StoreIn(services).Awaiting(store => store.RenewAsync("tickets/x", TicketOf("ada"))).Should().ThrowAsync<ArgumentException>();
    }

    [Fact]
    public async Task Ticket_is_gone_to_the_millisecond_when_it_expires()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        var key = await store.StoreAsync(TicketOf("ada", TimeSpan.FromSeconds(7)));

        _time.Advance(TimeSpan.FromMilliseconds(6999));
        (await store.RetrieveAsync(key)).Should().NotBeNull();
        _time.Advance(TimeSpan.FromMilliseconds(1));
        (await store.RetrieveAsync(key)).Should().BeNull();
    }

    [Fact]
    public async Task Ticket_without_an_expiration_lives_for_the_default()
    {
        await using var services = ServicesOn(Storage.InMemory(), options => options.DefaultLifetime = TimeSpan.FromMilliseconds(90_500));
        var store = StoreIn(services);
        var key = await store.StoreAsync(TicketOf("ada"));

        _time.Advance(TimeSpan.FromMilliseconds(90_499));
        (await store.RetrieveAsync(key)).Should().NotBeNull();
        _time.Advance(TimeSpan.FromMilliseconds(1));
        (await store.RetrieveAsync(key)).Should().BeNull();
    }

    [Fact]
    public async Task Ticket_that_lives_for_ever_is_kept()
    {
        await using var services = ServicesOn(Storage.InMemory(), options => options.DefaultLifetime = TimeSpan.MaxValue);
        var store = StoreIn(services);
        var late = TicketOf("ada");
        late.Properties.ExpiresUtc = DateTimeOffset.MaxValue.AddSeconds(-1);
        var keys = new[] { await store.StoreAsync(TicketOf("ada")), await store.StoreAsync(late) };

        _time.Advance(TimeSpan.FromDays(365 * 60));

        foreach (var key in keys)
        {
            (await store.RetrieveAsync(key)).Should().NotBeNull();
        }
    }

    [Fact]
    public async Task Ticket_that_has_expired_already_is_not_retrieved()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var key = await StoreIn(services).StoreAsync(TicketOf("ada", TimeSpan.FromSeconds(-1)));

        (await StoreIn(services).RetrieveAsync(key)).Should().BeNull();
    }

    [Fact]
    public async Task Expired_tickets_leave_the_namespace()
    {
        await using var services = ServicesOn(Storage.InMemory());
        for (var i = 0; i < 50; i++)
        {
            await StoreIn(services).StoreAsync(TicketOf($"user {i}", TimeSpan.FromMinutes(2)));
        }

        _time.Advance(TimeSpan.FromMinutes(3));

        KeysIn(services).Should().BeEmpty();
    }

    [Fact]
    public async Task Renewed_ticket_replaces_the_one_before()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        var key = await store.StoreAsync(TicketOf("ada", TimeSpan.FromMinutes(1)));
        _time.Advance(TimeSpan.FromSeconds(50));

        await store.RenewAsync(key, TicketOf("ada", TimeSpan.FromMinutes(10), new Claim("role", "admin")));

        _time.Advance(TimeSpan.FromMinutes(9));
        (await store.RetrieveAsync(key))!.Principal.FindFirstValue("role").Should().Be("admin");
        KeysIn(services).Should().ContainSingle();
    }

    [Theory]
    [InlineData("removed")]
    [InlineData("expired")]
    [InlineData("never there")]
    public async Task Renewing_a_ticket_that_is_gone_inserts_it(string how)
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        var key = await store.StoreAsync(TicketOf("ada", TimeSpan.FromMinutes(1)));
        var ticket = (await store.RetrieveAsync(key))!;
        switch (how)
        {
            case "removed":
                await store.RemoveAsync(key);
                break;
            case "expired":
                _time.Advance(TimeSpan.FromMinutes(2));
                break;
            default:
                await using (var other = ServicesOn(Storage.InMemory()))
                {
                    key = await StoreIn(other).StoreAsync(ticket);
                }

                break;
        }

        ticket.Properties.ExpiresUtc = _time.GetUtcNow().AddMinutes(5);
        await store.RenewAsync(key, ticket);

        (await store.RetrieveAsync(key)).Should().NotBeNull();
    }

    [Fact]
    public async Task Removed_ticket_is_gone_and_the_others_stay()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        var first = await store.StoreAsync(TicketOf("ada"));
        var second = await store.StoreAsync(TicketOf("ada"));

        await store.RemoveAsync(first);
        await store.RemoveAsync(first);

        (await store.RetrieveAsync(first)).Should().BeNull();
        (await store.RetrieveAsync(second)).Should().NotBeNull();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Removing_a_user_removes_all_and_only_the_tickets_of_the_user(bool persisted)
    {
        using var storage = Storage.Of(persisted);
        string[] ofAda, ofGrace;
        await using (var services = ServicesOn(storage))
        {
            var store = StoreIn(services);
            ofAda = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => store.StoreAsync(TicketOf("ada"))));
            ofGrace = [await store.StoreAsync(TicketOf("grace")), await store.StoreAsync(TicketOf("ad")), await store.StoreAsync(TicketOf("ada "))];

            (await store.RemoveAllAsync("ada")).Should().Be(20);
            (await store.RemoveAllAsync("ada")).Should().Be(0);
            await CheckAsync(store);
        }

        if (persisted)
        {
            await using var restarted = ServicesOn(storage);
            await CheckAsync(StoreIn(restarted));
        }

        async Task CheckAsync(KvTicketStore store)
        {
            foreach (var key in ofAda)
            {
                (await store.RetrieveAsync(key)).Should().BeNull();
            }

            foreach (var key in ofGrace)
            {
                (await store.RetrieveAsync(key)).Should().NotBeNull();
            }
        }
    }

    [Fact]
    public async Task User_is_the_claim_that_the_options_name()
    {
        await using var services = ServicesOn(Storage.InMemory(), options => options.UserClaim = "sub");
        var store = StoreIn(services);
        var key = await store.StoreAsync(TicketOf("ada", lifetime: null, new Claim("sub", "17")));

        (await store.RemoveAllAsync("ada")).Should().Be(0);
        (await store.RemoveAllAsync("17")).Should().Be(1);
        (await store.RetrieveAsync(key)).Should().BeNull();
    }

    [Fact]
    public async Task Ticket_without_a_user_is_kept_and_belongs_to_nobody()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        var key = await store.StoreAsync(new AuthenticationTicket(new ClaimsPrincipal(new ClaimsIdentity()), "Cookies"));

        (await store.RemoveAllAsync("-")).Should().Be(0);
        (await store.RetrieveAsync(key)).Should().NotBeNull();
        await store.Awaiting(s => s.RemoveAllAsync("").AsTask()).Should().ThrowAsync<ArgumentException>();
    }

    [Fact]
    public async Task Session_that_another_user_took_over_belongs_to_that_user()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        var key = await store.StoreAsync(TicketOf("ada"));
        await store.RenewAsync(key, TicketOf("grace"));

        (await store.RemoveAllAsync("ada")).Should().Be(0);
        (await store.RetrieveAsync(key))!.Principal.FindFirstValue(ClaimTypes.NameIdentifier).Should().Be("grace");
        (await store.RemoveAllAsync("grace")).Should().Be(1);
        (await store.RetrieveAsync(key)).Should().BeNull();
    }

    [Fact]
    public async Task Session_that_changes_hands_often_has_one_ticket_and_can_be_removed()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        var key = await store.StoreAsync(TicketOf("ada"));
        foreach (var user in new[] { "grace", "alan", "alan", "ada", "grace", "ada", "alan" })
        {
            await store.RenewAsync(key, TicketOf(user));

            (await store.RetrieveAsync(key))!.Principal.FindFirstValue(ClaimTypes.NameIdentifier).Should().Be(user);
            KeysIn(services).Count(name => !name.StartsWith("tickets/moved/")).Should().Be(1);
        }

        await store.RemoveAsync(key);

        (await store.RetrieveAsync(key)).Should().BeNull();
        KeysIn(services).Should().BeEmpty();
    }

    [Fact]
    public async Task Ticket_that_was_read_before_its_user_was_removed_is_not_prolonged()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        var key = await store.StoreAsync(TicketOf("ada", TimeSpan.FromMinutes(1)));
        var renewed = Prolong((await store.RetrieveAsync(key))!);

        await store.RemoveAllAsync("ada");
        await store.RenewAsync(key, renewed);

        (await store.RetrieveAsync(key)).Should().BeNull("the user was signed out everywhere after the request had begun");
    }

    [Fact]
    public async Task Ticket_that_is_prolonged_while_its_user_is_removed_is_gone()
    {
        PausedNamespace? paused = null;
        await using var services = ServicesOn(Storage.InMemory(), more: more => more.AddKeyedSingleton<IKvExtendedNamespace>(
            "SESSIONS_KV", (provider, name) => paused = new PausedNamespace(provider.GetRequiredKeyedService<KvNamespace>(name))));
        var store = StoreIn(services);
        var key = await store.StoreAsync(TicketOf("ada", TimeSpan.FromMinutes(1)));
        var renewed = Prolong((await store.RetrieveAsync(key))!);
        var held = new TaskCompletionSource();
        paused!.BeforePut = _ => held.Task;
        var renewal = store.RenewAsync(key, renewed);

        (await store.RemoveAllAsync("ada")).Should().Be(1);
        held.SetResult();
        await renewal;

        (await store.RetrieveAsync(key)).Should().BeNull();
        KeysIn(services).Should().BeEmpty();
    }

    [Fact]
    public async Task User_can_sign_in_again_after_being_removed_with_the_same_cookie()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        var key = await store.StoreAsync(TicketOf("ada", TimeSpan.FromMinutes(1)));
        var read = (await store.RetrieveAsync(key))!;
        await store.RemoveAllAsync("ada");

        await store.RenewAsync(key, TicketOf("ada"));
        (await store.RetrieveAsync(key)).Should().NotBeNull("this is a new sign-in");

        await store.RemoveAllAsync("ada");
        await store.RenewAsync(key, new AuthenticationTicket(read.Principal, read.Properties, "Cookies"));
        (await store.RetrieveAsync(key)).Should().NotBeNull("the application signed the user in again, with the properties of before");
    }

    [Fact]
    public async Task Renewals_beside_removals_leave_no_ticket_that_was_read_before()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        for (var round = 0; round < 200; round++)
        {
            var key = await store.StoreAsync(TicketOf("ada", TimeSpan.FromMinutes(1)));
            var renewed = Prolong((await store.RetrieveAsync(key))!);

            await Task.WhenAll(
                Task.Run(() => store.RenewAsync(key, renewed)),
                Task.Run(async () => await store.RemoveAllAsync("ada")));

            (await store.RetrieveAsync(key)).Should().BeNull();
        }
    }

    [Fact]
    public async Task Note_of_the_store_in_a_ticket_is_not_stored()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        var key = await store.StoreAsync(TicketOf("ada", TimeSpan.FromMinutes(1)));
        var first = (await store.RetrieveAsync(key))!;
        var items = first.Properties.Items.Keys.ToArray();
        for (var i = 0; i < 3; i++)
        {
            await store.RenewAsync(key, Prolong((await store.RetrieveAsync(key))!));
        }

        (await store.RetrieveAsync(key))!.Properties.Items.Keys.Should().BeEquivalentTo(items);
    }

    [Fact]
    public async Task Ticket_in_the_place_of_another_is_not_accepted()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var store = StoreIn(services);
        var kv = services.GetRequiredKeyedService<IKvNamespace>("SESSIONS_KV");
        var ofAdmin = await store.StoreAsync(TicketOf("admin"));
        var ofEve = await store.StoreAsync(TicketOf("eve"));

        await kv.PutAsync("tickets/" + ofEve, (await kv.GetAsync("tickets/" + ofAdmin)).GetBytes());

        (await store.RetrieveAsync(ofEve)).Should().BeNull();
        services.GetRequiredService<LogLines>().Warnings.Should().ContainSingle(line => line.Contains("cannot be read"));
    }

    [Fact]
    public async Task Ticket_is_not_readable_in_the_namespace()
    {
        await using var services = ServicesOn(Storage.InMemory());
        var key = await StoreIn(services).StoreAsync(TicketOf("ada lovelace"));

        var value = (await services.GetRequiredKeyedService<IKvNamespace>("SESSIONS_KV").GetAsync("tickets/" + key)).GetText();

        value.Should().NotContain("ada lovelace").And.NotContain("NameIdentifier");
    }

    [Fact]
    public async Task Ticket_whose_keys_are_gone_is_gone_and_logged()
    {
        using var storage = Storage.InDirectory();
        string key;
        await using (var services = ServicesOn(storage))
        {
            key = await StoreIn(services).StoreAsync(TicketOf("ada"));
        }

        await using var restarted = ServicesOn(storage, keepsKeys: false);

        (await StoreIn(restarted).RetrieveAsync(key)).Should().BeNull();
        restarted.GetRequiredService<LogLines>().Warnings.Should().ContainSingle(line => line.Contains("PersistKeysToKvNamespace"));
    }

    [Fact]
    public async Task Large_ticket_is_kept_and_one_above_the_limit_throws()
    {
        using var storage = Storage.InDirectory();
        await using var services = ServicesOn(storage);
        var store = StoreIn(services);
        var key = await store.StoreAsync(TicketOf("ada", lifetime: null, new Claim("large", new string('x', 3_000_000))));

        (await store.RetrieveAsync(key))!.Principal.FindFirstValue("large").Should().HaveLength(3_000_000);
        (await store.Awaiting(s => s.StoreAsync(TicketOf("ada", lifetime: null, new Claim("large", new string('x', 27_000_000)))))
            .Should().ThrowAsync<KvException>()).Which.StatusCode.Should().Be(413);
    }

    [Fact]
    public async Task Failing_disk_throws_for_every_change_and_reads_go_on()
    {
        var storage = Storage.OnDisk();
        var services = ServicesOn(storage);
        var store = StoreIn(services);
        var key = await store.StoreAsync(TicketOf("ada"));
        _ = new FaultyDisk(storage.Disk, "flush", 1, "Input/output error", isForGood: true);

        await store.Awaiting(s => s.StoreAsync(TicketOf("ada"))).Should().ThrowAsync<KvPersistenceException>();
        await store.Awaiting(s => s.RenewAsync(key, TicketOf("ada"))).Should().ThrowAsync<KvPersistenceException>();
        await store.Awaiting(s => s.RemoveAsync(key)).Should().ThrowAsync<KvPersistenceException>();
        await store.Awaiting(s => s.RemoveAllAsync("ada").AsTask()).Should().ThrowAsync<KvPersistenceException>();
        (await store.RetrieveAsync(key)).Should().NotBeNull();
    }

    [Theory]
    [InlineData("prefix", "*256*")]
    [InlineData("claim", "*UserClaim is empty*")]
    [InlineData("scheme", "*Scheme is empty*")]
    [InlineData("lifetime", "*DefaultLifetime is 00:00:00*")]
    public void Wrong_option_is_refused(string which, string message) =>
        new ServiceCollection().Invoking(services => services.AddKvTicketStore("SESSIONS_KV", options =>
        {
            switch (which)
            {
                case "prefix":
                    options.Prefix = new string('p', 300);
                    break;
                case "claim":
                    options.UserClaim = "";
                    break;
                case "scheme":
                    options.Scheme = "";
                    break;
                default:
                    options.DefaultLifetime = TimeSpan.Zero;
                    break;
            }
        })).Should().Throw<ArgumentException>().WithMessage(message);

    [Fact]
    public void Second_call_is_refused() =>
        new ServiceCollection().AddKvTicketStore("SESSIONS_KV").Invoking(services => services.AddKvTicketStore("SESSIONS_KV"))
            .Should().Throw<ArgumentException>().WithMessage("*AddKvTicketStore(\"SESSIONS_KV\")*");

    // What cookie authentication does with a ticket when it prolongs it.
    private AuthenticationTicket Prolong(AuthenticationTicket read)
    {
        var properties = new AuthenticationProperties();
        foreach (var (name, value) in read.Properties.Items)
        {
            properties.Items[name] = value;
        }

        _time.Advance(TimeSpan.FromSeconds(1));
        properties.IssuedUtc = _time.GetUtcNow();
        properties.ExpiresUtc = _time.GetUtcNow().AddMinutes(1);
        return new AuthenticationTicket(read.Principal, properties, read.AuthenticationScheme);
    }

    [Fact]
    public async Task Requests_are_counted_by_operation_and_outcome()
    {
        using var counted = new AdapterRequests("COUNTED_TICKETS_KV");
        var services = new ServiceCollection().AddLogging().AddKvNamespace("COUNTED_TICKETS_KV").AddKvTicketStore("COUNTED_TICKETS_KV");
        services.AddDataProtection().UseEphemeralDataProtectionProvider();
        await using var provider = services.BuildServiceProvider();
        var store = StoreIn(provider);

        var key = await store.StoreAsync(TicketOf("ada"));
        var read = await store.RetrieveAsync(key);
        await store.RenewAsync(key, read!);
        var old = await store.RetrieveAsync(key);
        await store.RemoveAllAsync("ada");
        await store.RenewAsync(key, Prolong(old!));
        await store.RetrieveAsync(key);
        await store.RetrieveAsync("made by nobody");
        await store.RemoveAsync(key);
        await provider.GetRequiredKeyedService<KvNamespace>("COUNTED_TICKETS_KV").DisposeAsync();
        await store.Awaiting(s => s.StoreAsync(TicketOf("ada"))).Should().ThrowAsync<ObjectDisposedException>();
        await store.Awaiting(s => s.RetrieveAsync(key)).Should().ThrowAsync<ObjectDisposedException>();
        await store.Awaiting(s => s.RenewAsync(key, TicketOf("ada"))).Should().ThrowAsync<ObjectDisposedException>();
        await store.Awaiting(s => s.RemoveAsync(key)).Should().ThrowAsync<ObjectDisposedException>();
        await store.Awaiting(s => s.RemoveAllAsync("ada").AsTask()).Should().ThrowAsync<ObjectDisposedException>();

        counted.Lines.Should().Equal(new[]
        {
            "store ok", "get hit", "renew ok", "get hit", "remove_all ok", "renew refused", "get miss", "get miss", "remove ok",
            "store error", "get error", "renew error", "remove error", "remove_all error",
        }.Select(line => $"tickets {line} 1"));
    }

    private AuthenticationTicket TicketOf(string user, TimeSpan? lifetime = null, params Claim[] claims)
    {
        var identity = new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, user), .. claims], "Cookies");
        var properties = new AuthenticationProperties { IssuedUtc = _time.GetUtcNow(), ExpiresUtc = _time.GetUtcNow() + lifetime };
        return new AuthenticationTicket(new ClaimsPrincipal(identity), properties, "Cookies");
    }

    private ServiceProvider ServicesOn(Storage storage, Action<KvTicketStoreOptions>? configure = null, bool keepsKeys = true, Action<IServiceCollection>? more = null)
    {
        var services = new ServiceCollection();
        var log = new LogLines();
        services.AddSingleton(log).AddLogging(logging => logging.AddProvider(log)).AddSingleton<TimeProvider>(_time);
        storage.AddTo(services, "SESSIONS_KV");
        services.AddKvTicketStore("SESSIONS_KV", configure);
        if (keepsKeys)
        {
            services.AddDataProtection().SetApplicationName("tests").PersistKeysToKvNamespace("SESSIONS_KV");
        }
        else
        {
            services.AddDataProtection().SetApplicationName("tests").UseEphemeralDataProtectionProvider();
        }

        more?.Invoke(services);
        return services.BuildServiceProvider();
    }

    private static KvTicketStore StoreIn(IServiceProvider services) => services.GetRequiredService<KvTicketStore>();

    private static string[] KeysIn(IServiceProvider services) =>
        [.. services.GetRequiredKeyedService<IKvNamespace>("SESSIONS_KV").ListAllAsync("tickets/").ToBlockingEnumerable().Select(key => key.Name)];
}
