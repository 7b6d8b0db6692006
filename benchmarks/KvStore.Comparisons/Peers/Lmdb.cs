namespace KvStore.Comparisons.Peers;

/// <summary>As much of LMDB's interface as the comparison needs (lmdb.h).</summary>
internal static unsafe class Lmdb
{
    public const uint NoSync = 0x10000;
    public const uint NoMetaSync = 0x40000;
    public const uint WriteMap = 0x80000;
    public const uint NoReadAhead = 0x800000;
    public const uint ReadOnly = 0x20000;
    public const int NotFound = -30798;
    public const int CursorNext = 8;
    public const int CursorSetRange = 17;

    private static readonly nint s_library = NativeStore.Load("liblmdb.so.0", "liblmdb.so", "liblmdb");

    /// <summary>Null when LMDB can be had here.</summary>
    public static string? MissingBecause => s_library == 0 ? "no liblmdb on this machine" : null;

    public static readonly delegate* unmanaged<nint*, int> EnvironmentCreate = (delegate* unmanaged<nint*, int>)Export("mdb_env_create");
    public static readonly delegate* unmanaged<nint, nuint, int> SetMapSize = (delegate* unmanaged<nint, nuint, int>)Export("mdb_env_set_mapsize");
    public static readonly delegate* unmanaged<nint, byte*, uint, int, int> EnvironmentOpen =
        (delegate* unmanaged<nint, byte*, uint, int, int>)Export("mdb_env_open");
    public static readonly delegate* unmanaged<nint, void> EnvironmentClose = (delegate* unmanaged<nint, void>)Export("mdb_env_close");
    public static readonly delegate* unmanaged<nint, nint, uint, nint*, int> Begin =
        (delegate* unmanaged<nint, nint, uint, nint*, int>)Export("mdb_txn_begin");
    public static readonly delegate* unmanaged<nint, int> Commit = (delegate* unmanaged<nint, int>)Export("mdb_txn_commit");
    public static readonly delegate* unmanaged<nint, void> Abort = (delegate* unmanaged<nint, void>)Export("mdb_txn_abort");
    public static readonly delegate* unmanaged<nint, void> Reset = (delegate* unmanaged<nint, void>)Export("mdb_txn_reset");
    public static readonly delegate* unmanaged<nint, int> Renew = (delegate* unmanaged<nint, int>)Export("mdb_txn_renew");
    public static readonly delegate* unmanaged<nint, byte*, uint, uint*, int> OpenDatabase =
        (delegate* unmanaged<nint, byte*, uint, uint*, int>)Export("mdb_dbi_open");
    public static readonly delegate* unmanaged<nint, uint, Value*, Value*, int> Get =
        (delegate* unmanaged<nint, uint, Value*, Value*, int>)Export("mdb_get");
    public static readonly delegate* unmanaged<nint, uint, Value*, Value*, uint, int> Put =
        (delegate* unmanaged<nint, uint, Value*, Value*, uint, int>)Export("mdb_put");
    public static readonly delegate* unmanaged<nint, uint, nint*, int> CursorOpen = (delegate* unmanaged<nint, uint, nint*, int>)Export("mdb_cursor_open");
    public static readonly delegate* unmanaged<nint, Value*, Value*, int, int> CursorGet =
        (delegate* unmanaged<nint, Value*, Value*, int, int>)Export("mdb_cursor_get");
    public static readonly delegate* unmanaged<nint, void> CursorClose = (delegate* unmanaged<nint, void>)Export("mdb_cursor_close");

    public static void Check(int code)
    {
        if (code != 0)
        {
            throw new InvalidOperationException($"LMDB: error {code}");
        }
    }

    private static nint Export(string name) => NativeStore.Export(s_library, name);

    /// <summary>MDB_val.</summary>
    public struct Value
    {
        public nuint Length;
        public byte* Data;
    }
}
