using System.Text;
using LightningDB;

namespace KvStore.Comparisons.Peers;

/// <summary>LMDB: a map in memory and on disk, not synced; each get in a renewed read transaction, each run of puts in one.</summary>
internal sealed class LmdbPeer : Peer
{
    private readonly ScratchDirectory _directory = new();
    private readonly LightningEnvironment _environment;
    private readonly LightningTransaction _read;
    private readonly LightningDatabase _database;
    private readonly byte[] _buffer = new byte[1024];

    public LmdbPeer()
    {
        _environment = new LightningEnvironment(_directory.Path, new EnvironmentConfiguration { MapSize = 8L << 30 });
        _environment.Open(
            EnvironmentOpenFlags.NoSync | EnvironmentOpenFlags.NoMetaSync | EnvironmentOpenFlags.WriteMap | EnvironmentOpenFlags.NoReadAhead);
        using (var transaction = _environment.BeginTransaction())
        {
            _database = transaction.OpenDatabase();
            transaction.Commit().ThrowOnError();
        }

        _read = _environment.BeginTransaction(TransactionBeginFlags.ReadOnly);
        _read.Reset();
    }

    /// <summary>Null when LMDB runs on this machine.</summary>
    public static string? MissingBecause => LmdbLibrary.MissingBecause;

    public override string Name => "LMDB";

    public override int GetAll(ArraySegment<string> keys)
    {
        var found = 0;
        foreach (var key in keys)
        {
            found += Get(key) >= 0 ? 1 : 0;
        }

        return found;
    }

    public override int GetAndReadAll(ArraySegment<string> keys)
    {
        var sum = 0;
        foreach (var key in keys)
        {
            sum += Math.Max(Get(key), 0);
        }

        return sum;
    }

    public override void PutAll(ArraySegment<string> keys, byte[] value) => PutEach(keys, _ => value);

    public override void Fill(int from, int to) =>
        PutEach([.. Enumerable.Range(from, to - from).Select(Workload.Key)], i => Workload.Value(from + i));

    public override int List(string start, int limit)
    {
        var page = new List<string>(limit);
        _read.Renew();
        using (var cursor = _read.CreateCursor(_database))
        {
            for (var code = cursor.SetRange(KeyOf(start)); code == MDBResultCode.Success && page.Count < limit; code = cursor.Next().resultCode)
            {
                page.Add(Encoding.UTF8.GetString(cursor.GetCurrent().key.AsSpan()));
            }
        }

        _read.Reset();
        return page.Count;
    }

    public override void Dispose()
    {
        _read.Dispose();
        _database.Dispose();
        _environment.Dispose();
        _directory.Dispose();
        base.Dispose();
    }

    private ReadOnlySpan<byte> KeyOf(string key) => _buffer.AsSpan(0, Encoding.UTF8.GetBytes(key, _buffer));

    // The first byte of the value, or -1.
    private int Get(string name)
    {
        _read.Renew();
        var (code, _, value) = _read.Get(_database, KeyOf(name));
        var first = code == MDBResultCode.Success ? value.AsSpan()[0] : -1;
        _read.Reset();
        if (code is not (MDBResultCode.Success or MDBResultCode.NotFound))
        {
            code.ThrowOnError();
        }

        return first;
    }

    private void PutEach(IReadOnlyList<string> keys, Func<int, byte[]> valueOf)
    {
        using var transaction = _environment.BeginTransaction();
        for (var i = 0; i < keys.Count; i++)
        {
            transaction.Put(_database, KeyOf(keys[i]), valueOf(i)).ThrowOnError();
        }

        transaction.Commit().ThrowOnError();
    }
}
