using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.OutputCaching;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.AspNetCore.Tests.Adapters;

/// <summary>What programs without a host, which would check when it starts, learn of a wrong registration.</summary>
public sealed class AdapterRegistrationTests
{
    [Fact]
    public async Task Without_a_host_the_first_use_says_what_is_missing()
    {
        var services = new ServiceCollection().AddLogging().AddKvOutputCache("PAGES_KV").AddKvTicketStore("TICKETS_KV");
        services.AddDataProtection().PersistKeysToKvNamespace("KEYS_KV");
        await using var provider = services.BuildServiceProvider();

        var pages = () => provider.GetRequiredService<IOutputCacheStore>().GetAsync("a", CancellationToken.None).AsTask();
        var tickets = () => provider.GetRequiredService<KvTicketStore>().RemoveAllAsync("ada").AsTask();
        var keys = () => provider.GetDataProtector("a").Protect("b");

        (await pages.Should().ThrowAsync<InvalidOperationException>()).WithMessage("AddKvOutputCache: *services.AddKvNamespace(\"PAGES_KV\").");
        (await tickets.Should().ThrowAsync<InvalidOperationException>()).WithMessage("AddKvTicketStore: *services.AddKvNamespace(\"TICKETS_KV\").");
        keys.Should().Throw<Exception>().WithInnerException<InvalidOperationException>().WithMessage("PersistKeysToKvNamespace: *services.AddKvNamespace(\"KEYS_KV\").");
    }
}
