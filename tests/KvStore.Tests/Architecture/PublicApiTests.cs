namespace KvStore.Tests.Architecture;

/// <summary>
/// The public surface stands in a file, so that a change of it is a line in the diff. To accept a change, run the tests with
/// KVSTORE_ACCEPT_PUBLIC_API=1 and look at what the file says then.
/// </summary>
public sealed class PublicApiTests
{
    [Fact]
    public void The_public_surface_is_the_one_on_file() =>
        PublicSurface.DifferencesFrom(Path.Combine(SourceTree.Library, "PublicAPI.txt"), typeof(IKvNamespace).Assembly).Should().BeEmpty();
}
