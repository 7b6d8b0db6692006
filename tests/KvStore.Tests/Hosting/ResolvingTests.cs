using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace KvStore.Tests.Hosting;

public sealed class ResolvingTests
{
    [Fact]
    public async Task The_class_is_a_keyed_service_as_well()
    {
        await using var provider = new ServiceCollection().AddKvNamespace("A").AddKvNamespace("B").BuildServiceProvider();

        var kv = provider.GetRequiredKeyedService<KvNamespace>("B");
        await kv.PutAsync("k", "v");

        kv.TryGet("k", out var value).Should().BeTrue();
        value.GetText().Should().Be("v");
        kv.Count.Should().Be(1);
        kv.Should().BeSameAs(provider.GetRequiredKeyedService<IKvNamespace>("B"));
    }

    [Fact]
    public async Task A_single_namespace_is_resolved_without_a_key_and_without_a_warning()
    {
        var log = new LogLines();
        await using var provider = Logging(log).AddKvNamespace("ONLY").BuildServiceProvider();

        provider.GetRequiredService<KvNamespace>().Should().BeSameAs(provider.GetRequiredService<IKvNamespace>());

        log.Warnings.Should().BeEmpty();
    }

    [Fact]
    public async Task Several_resolved_without_a_key_give_the_first_and_a_warning()
    {
        var log = new LogLines();
        await using var provider = Logging(log).AddKvNamespace("FIRST").AddKvNamespace("SECOND").BuildServiceProvider();

        provider.GetRequiredService<IKvNamespace>().Name.Should().Be("FIRST");
        provider.GetRequiredService<IKvNamespace>().Name.Should().Be("FIRST");

        log.Warnings.Should().ContainSingle().Which.Should().Contain("FIRST").And.Contain("FromKeyedServices").And.Contain("2");
    }

    [Fact]
    public async Task Several_resolved_by_key_give_no_warning()
    {
        var log = new LogLines();
        await using var provider = Logging(log).AddKvNamespace("FIRST").AddKvNamespace("SECOND").BuildServiceProvider();

        provider.GetRequiredKeyedService<IKvNamespace>("FIRST").Name.Should().Be("FIRST");
        provider.GetRequiredService<IKvNamespaceFactory>().Get("SECOND").Name.Should().Be("SECOND");

        log.Warnings.Should().BeEmpty();
    }

    [Fact]
    public async Task A_service_that_was_registered_without_a_key_before_stays()
    {
        var own = new ReferenceStore("OWN", TimeProvider.System);
        await using var provider = new ServiceCollection().AddSingleton<IKvNamespace>(own).AddKvNamespace("KV").BuildServiceProvider();

        provider.GetRequiredService<IKvNamespace>().Should().BeSameAs(own);
    }

    private static IServiceCollection Logging(LogLines log) => new ServiceCollection().AddLogging(logging => logging.AddProvider(log));
}
