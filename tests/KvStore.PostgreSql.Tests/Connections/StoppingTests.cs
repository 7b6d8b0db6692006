using KvStore.PostgreSql.Connections;

namespace KvStore.PostgreSql.Tests.Connections;

public sealed class StoppingTests
{
    [Fact]
    public async Task Connection_that_is_disposed_already_keeps_nothing_from_being_stopped()
    {
        using var source = new CancellationTokenSource();
        var isStopped = false;
        using var first = source.Token.Register(() => isStopped = true);
        using var second = source.Token.Register(() => throw new ObjectDisposedException("a connection"));

        await source.StopAsync();

        source.IsCancellationRequested.Should().BeTrue();
        isStopped.Should().BeTrue();
    }

    [Fact]
    public async Task Other_failure_of_a_callback_is_thrown()
    {
        using var source = new CancellationTokenSource();
        using var registration = source.Token.Register(() => throw new InvalidOperationException());

        await FluentActions.Awaiting(() => source.StopAsync().AsTask()).Should().ThrowAsync<InvalidOperationException>();
    }
}
