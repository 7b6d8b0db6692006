namespace KvStore.Replication;

/// <summary>A large value that a region holds, for one of its readers: who lets go of it, leaves it to the others.</summary>
/// <param name="held">The value as it is held; reachable from here, so that it stays readable.</param>
internal sealed class SharedLargeValue(KvLargeValue held) : KvLargeValue
{
    public override long Length => held.Length;

    public override Stream OpenStream() => held.OpenStream();

    public override void Dispose()
    {
        // The one who holds it lets go, or nobody does and it is collected.
    }
}
