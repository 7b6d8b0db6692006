using System.Runtime.InteropServices;
using System.Text;

namespace KvStore.Comparisons.Peers;

/// <summary>As much of RocksDB's C interface as the comparison needs (rocksdb/c.h).</summary>
internal static unsafe class RocksDb
{
    private static readonly nint s_library = NativeStore.Load("librocksdb.so.7.8", "librocksdb.so", "librocksdb.so.9", "librocksdb.so.8", "librocksdb");

    /// <summary>Null when RocksDB can be had here.</summary>
    public static string? MissingBecause => s_library == 0 ? "no librocksdb on this machine" : null;

    public static readonly delegate* unmanaged<nint> OptionsCreate = (delegate* unmanaged<nint>)Export("rocksdb_options_create");
    public static readonly delegate* unmanaged<nint, byte, void> SetCreateIfMissing =
        (delegate* unmanaged<nint, byte, void>)Export("rocksdb_options_set_create_if_missing");
    public static readonly delegate* unmanaged<nint, nint, void> SetTableFactory =
        (delegate* unmanaged<nint, nint, void>)Export("rocksdb_options_set_block_based_table_factory");
    public static readonly delegate* unmanaged<nint> TableOptionsCreate =
        (delegate* unmanaged<nint>)Export("rocksdb_block_based_options_create");
    public static readonly delegate* unmanaged<nint, nint, void> SetFilterPolicy =
        (delegate* unmanaged<nint, nint, void>)Export("rocksdb_block_based_options_set_filter_policy");
    public static readonly delegate* unmanaged<nint, nint, void> SetBlockCache =
        (delegate* unmanaged<nint, nint, void>)Export("rocksdb_block_based_options_set_block_cache");
    public static readonly delegate* unmanaged<nuint, nint> CacheCreateLru = (delegate* unmanaged<nuint, nint>)Export("rocksdb_cache_create_lru");
    public static readonly delegate* unmanaged<double, nint> BloomCreate =
        (delegate* unmanaged<double, nint>)Export("rocksdb_filterpolicy_create_bloom_full");
    public static readonly delegate* unmanaged<nint, byte*, byte**, nint> Open = (delegate* unmanaged<nint, byte*, byte**, nint>)Export("rocksdb_open");
    public static readonly delegate* unmanaged<nint, void> Close = (delegate* unmanaged<nint, void>)Export("rocksdb_close");
    public static readonly delegate* unmanaged<nint> ReadOptionsCreate = (delegate* unmanaged<nint>)Export("rocksdb_readoptions_create");
    public static readonly delegate* unmanaged<nint> WriteOptionsCreate = (delegate* unmanaged<nint>)Export("rocksdb_writeoptions_create");
    public static readonly delegate* unmanaged<nint, nint, byte*, nuint, byte**, nint> GetPinned =
        (delegate* unmanaged<nint, nint, byte*, nuint, byte**, nint>)Export("rocksdb_get_pinned");
    public static readonly delegate* unmanaged<nint, nuint*, byte*> PinnedValue =
        (delegate* unmanaged<nint, nuint*, byte*>)Export("rocksdb_pinnableslice_value");
    public static readonly delegate* unmanaged<nint, void> PinnedDestroy = (delegate* unmanaged<nint, void>)Export("rocksdb_pinnableslice_destroy");
    public static readonly delegate* unmanaged<nint> BatchCreate = (delegate* unmanaged<nint>)Export("rocksdb_writebatch_create");
    public static readonly delegate* unmanaged<nint, byte*, nuint, byte*, nuint, void> BatchPut =
        (delegate* unmanaged<nint, byte*, nuint, byte*, nuint, void>)Export("rocksdb_writebatch_put");
    public static readonly delegate* unmanaged<nint, void> BatchDestroy = (delegate* unmanaged<nint, void>)Export("rocksdb_writebatch_destroy");
    public static readonly delegate* unmanaged<nint, nint, nint, byte**, void> Write =
        (delegate* unmanaged<nint, nint, nint, byte**, void>)Export("rocksdb_write");
    public static readonly delegate* unmanaged<nint, byte*, nuint, byte*, nuint, void> CompactRange =
        (delegate* unmanaged<nint, byte*, nuint, byte*, nuint, void>)Export("rocksdb_compact_range");
    public static readonly delegate* unmanaged<nint, nint, nint> IteratorCreate = (delegate* unmanaged<nint, nint, nint>)Export("rocksdb_create_iterator");
    public static readonly delegate* unmanaged<nint, byte*, nuint, void> IteratorSeek =
        (delegate* unmanaged<nint, byte*, nuint, void>)Export("rocksdb_iter_seek");
    public static readonly delegate* unmanaged<nint, byte> IteratorValid = (delegate* unmanaged<nint, byte>)Export("rocksdb_iter_valid");
    public static readonly delegate* unmanaged<nint, void> IteratorNext = (delegate* unmanaged<nint, void>)Export("rocksdb_iter_next");
    public static readonly delegate* unmanaged<nint, nuint*, byte*> IteratorKey = (delegate* unmanaged<nint, nuint*, byte*>)Export("rocksdb_iter_key");
    public static readonly delegate* unmanaged<nint, void> IteratorDestroy = (delegate* unmanaged<nint, void>)Export("rocksdb_iter_destroy");
    private static readonly delegate* unmanaged<void*, void> s_free = (delegate* unmanaged<void*, void>)Export("rocksdb_free");

    /// <summary>Throws what a call has left in its last argument, if anything.</summary>
    public static void Check(byte* error)
    {
        if (error is not null)
        {
            var message = Marshal.PtrToStringUTF8((nint)error);
            s_free(error);
            throw new InvalidOperationException($"RocksDB: {message}");
        }
    }

    public static byte[] ZeroTerminated(string text) => [.. Encoding.UTF8.GetBytes(text), 0];

    private static nint Export(string name) => NativeStore.Export(s_library, name);
}
