namespace KvStore.PostgreSql.LargeValues;

/// <summary>A large value that can be read.</summary>
internal sealed class LargeValue(LargeValueStore store, KvValueReference reference) : KvLargeValue
{
    public override long Length => reference.Length;

    public override Stream OpenStream() => new LargeValueStream(store, reference);

    public override void Dispose()
    {
        // Nothing is held: the database keeps the value for some minutes.
    }
}
