using System.Text;

namespace KvStore.Comparisons.Peers;

/// <summary>LMDB: a map in memory and on disk, not synced; each get in a renewed read transaction, each run of puts in one.</summary>
internal sealed unsafe class LmdbPeer : Peer
{
    private readonly ScratchDirectory _directory = new();
    private readonly nint _environment;
    private readonly nint _read;
    private readonly uint _database;
    private readonly byte[] _buffer = GC.AllocateArray<byte>(1024, pinned: true);
    private readonly byte* _key;

    public LmdbPeer()
    {
        _key = (byte*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref _buffer[0]);
        nint environment;
        Lmdb.Check(Lmdb.EnvironmentCreate(&environment));
        _environment = environment;
        Lmdb.Check(Lmdb.SetMapSize(environment, (nuint)8 << 30));
        fixed (byte* path = RocksDb.ZeroTerminated(_directory.Path))
        {
            Lmdb.Check(Lmdb.EnvironmentOpen(environment, path, Lmdb.NoSync | Lmdb.NoMetaSync | Lmdb.WriteMap | Lmdb.NoReadAhead, 0x1A4));
        }

        nint transaction;
        uint database;
        Lmdb.Check(Lmdb.Begin(environment, 0, 0, &transaction));
        Lmdb.Check(Lmdb.OpenDatabase(transaction, null, 0, &database));
        Lmdb.Check(Lmdb.Commit(transaction));
        _database = database;
        Lmdb.Check(Lmdb.Begin(environment, 0, Lmdb.ReadOnly, &transaction));
        Lmdb.Reset(transaction);
        _read = transaction;
    }

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
        Lmdb.Check(Lmdb.Renew(_read));
        nint cursor;
        Lmdb.Check(Lmdb.CursorOpen(_read, _database, &cursor));
        var key = KeyOf(start);
        Lmdb.Value value;
        for (var code = Lmdb.CursorGet(cursor, &key, &value, Lmdb.CursorSetRange);
            code == 0 && page.Count < limit;
            code = Lmdb.CursorGet(cursor, &key, &value, Lmdb.CursorNext))
        {
            page.Add(Encoding.UTF8.GetString(key.Data, (int)key.Length));
        }

        Lmdb.CursorClose(cursor);
        Lmdb.Reset(_read);
        return page.Count;
    }

    public override void Dispose()
    {
        Lmdb.Abort(_read);
        Lmdb.EnvironmentClose(_environment);
        _directory.Dispose();
        base.Dispose();
    }

    private Lmdb.Value KeyOf(string key) => new() { Length = (nuint)Encoding.UTF8.GetBytes(key, _buffer), Data = _key };

    // The first byte of the value, or -1.
    private int Get(string name)
    {
        Lmdb.Check(Lmdb.Renew(_read));
        var key = KeyOf(name);
        Lmdb.Value value;
        var code = Lmdb.Get(_read, _database, &key, &value);
        var first = code == 0 ? *value.Data : -1;
        Lmdb.Reset(_read);
        if (code != 0 && code != Lmdb.NotFound)
        {
            Lmdb.Check(code);
        }

        return first;
    }

    private void PutEach(IReadOnlyList<string> keys, Func<int, byte[]> valueOf)
    {
        nint transaction;
        Lmdb.Check(Lmdb.Begin(_environment, 0, 0, &transaction));
        for (var i = 0; i < keys.Count; i++)
        {
            var key = KeyOf(keys[i]);
            var bytes = valueOf(i);
            fixed (byte* data = bytes)
            {
                var value = new Lmdb.Value { Length = (nuint)bytes.Length, Data = data };
                Lmdb.Check(Lmdb.Put(transaction, _database, &key, &value, 0));
            }
        }

        Lmdb.Check(Lmdb.Commit(transaction));
    }
}
