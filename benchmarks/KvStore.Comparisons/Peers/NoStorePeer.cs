namespace KvStore.Comparisons.Peers;

/// <summary>
/// No store: the time of the latency harness and the machine. The time above this curve is that of a store.
/// </summary>
internal sealed class NoStorePeer : Peer, ITimedPeer
{
    public override string Name => "no store";

    public bool ExpiresByItself => true;

    public override int GetAll(ArraySegment<string> keys) => keys.Count;

    public override int GetAndReadAll(ArraySegment<string> keys) => keys.Count;

    public override void PutAll(ArraySegment<string> keys, byte[] value)
    {
    }

    public override void Fill(int from, int to)
    {
    }

    public bool Read(string key) => key.Length > 0;

    public void Write(string key, byte[] scratch, int ttlSeconds)
    {
    }

    public override void Remove(string key)
    {
    }
}
