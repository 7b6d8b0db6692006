using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace KvStore.Tests.Hosting;

public sealed class LifetimeTests
{
    [Fact]
    public async Task Stopping_after_the_container_was_disposed_is_no_error()
    {
        var provider = new ServiceCollection().AddKvNamespace("KV").BuildServiceProvider();
        var lifetime = provider.GetServices<IHostedService>().OfType<IHostedLifecycleService>().Single();
        await lifetime.StartingAsync(CancellationToken.None);
        await provider.DisposeAsync();

        var act = () => lifetime.StoppedAsync(CancellationToken.None);

        await act.Should().NotThrowAsync();
    }
}
