using Microsoft.Data.Sqlite;

namespace KvStore.Comparisons.Peers;

/// <summary>
/// SQLite through Microsoft.Data.Sqlite: a table without row ids, in a file, with the write-ahead log and without syncs;
/// prepared statements, one connection.
/// </summary>
internal sealed class SqlitePeer : Peer
{
    private readonly ScratchDirectory _directory = new();
    private readonly SqliteConnection _connection;
    private readonly SqliteCommand _get;
    private readonly SqliteParameter _getKey;
    private readonly SqliteCommand _put;
    private readonly SqliteParameter _putKey;
    private readonly SqliteParameter _putValue;
    private readonly SqliteCommand _remove;
    private readonly SqliteParameter _removeKey;
    private readonly SqliteCommand _list;
    private readonly SqliteParameter _listFrom;
    private readonly SqliteParameter _listLimit;

    public SqlitePeer()
    {
        _connection = new SqliteConnection($"Data Source={Path.Combine(_directory.Path, "kv.db")};Pooling=False");
        _connection.Open();
        Execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-262144");
        Execute("CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID");
        _get = Prepare("SELECT value FROM entries WHERE key = $key", ("$key", SqliteType.Text));
        _getKey = _get.Parameters[0];
        _put = Prepare(
            "INSERT INTO entries VALUES ($key, $value) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            ("$key", SqliteType.Text),
            ("$value", SqliteType.Blob));
        _putKey = _put.Parameters[0];
        _putValue = _put.Parameters[1];
        _remove = Prepare("DELETE FROM entries WHERE key = $key", ("$key", SqliteType.Text));
        _removeKey = _remove.Parameters[0];
        _list = Prepare(
            "SELECT key FROM entries WHERE key >= $from ORDER BY key LIMIT $limit", ("$from", SqliteType.Text), ("$limit", SqliteType.Integer));
        _listFrom = _list.Parameters[0];
        _listLimit = _list.Parameters[1];
    }

    /// <summary>Null when SQLite runs on this machine.</summary>
    public static string? MissingBecause { get; } = Probe.Of("SQLite", static () => new SqlitePeer());

    public override string Name => "SQLite";

    public override int GetAll(ArraySegment<string> keys)
    {
        var found = 0;
        foreach (var key in keys)
        {
            found += Get(key) is null ? 0 : 1;
        }

        return found;
    }

    public override int GetAndReadAll(ArraySegment<string> keys)
    {
        var sum = 0;
        foreach (var key in keys)
        {
            sum += Get(key)?[0] ?? 0;
        }

        return sum;
    }

    public override void PutAll(ArraySegment<string> keys, byte[] value)
    {
        using var transaction = _connection.BeginTransaction();
        _put.Transaction = transaction;
        foreach (var key in keys)
        {
            Put(key, value);
        }

        transaction.Commit();
        _put.Transaction = null;
    }

    public override void Fill(int from, int to)
    {
        using var transaction = _connection.BeginTransaction();
        _put.Transaction = transaction;
        for (var i = from; i < to; i++)
        {
            Put(Workload.Key(i), Workload.Value(i));
        }

        transaction.Commit();
        _put.Transaction = null;
    }

    public override void RemoveAll(ArraySegment<string> keys)
    {
        using var transaction = _connection.BeginTransaction();
        _remove.Transaction = transaction;
        foreach (var key in keys)
        {
            _removeKey.Value = key;
            _remove.ExecuteNonQuery();
        }

        transaction.Commit();
        _remove.Transaction = null;
    }

    public override int List(string start, int limit)
    {
        _listFrom.Value = start;
        _listLimit.Value = limit;
        var page = new List<string>(limit);
        using var reader = _list.ExecuteReader();
        while (reader.Read())
        {
            page.Add(reader.GetString(0));
        }

        return page.Count;
    }

    public override void Dispose()
    {
        _get.Dispose();
        _put.Dispose();
        _remove.Dispose();
        _list.Dispose();
        _connection.Dispose();
        _directory.Dispose();
        base.Dispose();
    }

    private byte[]? Get(string key)
    {
        _getKey.Value = key;
        return (byte[]?)_get.ExecuteScalar();
    }

    private void Put(string key, byte[] value)
    {
        _putKey.Value = key;
        _putValue.Value = value;
        _put.ExecuteNonQuery();
    }

    private void Execute(string sql)
    {
        using var command = _connection.CreateCommand();
#pragma warning disable CA2100 // Constants of this file.
        command.CommandText = sql;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }

    private SqliteCommand Prepare(string sql, params (string Name, SqliteType Type)[] parameters)
    {
        var command = _connection.CreateCommand();
#pragma warning disable CA2100 // Constants of this file.
        command.CommandText = sql;
#pragma warning restore CA2100
        foreach (var (name, type) in parameters)
        {
            command.Parameters.Add(name, type);
        }

        command.Prepare();
        return command;
    }
}
