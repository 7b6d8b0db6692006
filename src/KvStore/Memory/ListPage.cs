using System.Runtime.CompilerServices;
using System.Text;
using KvStore.Memory;
using KvStore.Order;
using KvStore.Records;
using KvStore.Rules;

namespace KvStore.Memory;

/// <summary>Makes a page for a caller from the records that a listing finds, as it finds them.</summary>
/// <remarks>
/// A page is built in arrays that grow in few steps: most are a handful of keys, or as many as the limit allows.
/// </remarks>
internal struct ListPage : IRecordSink
{
    private const int KeysAtFirst = 32;
    private const int Growth = 8;

    private readonly int _limit;
    private KvListKey[] _keys;
    private int _count;
    private bool _isMore;

    private ListPage(int limit, int keysAtFirst)
    {
        _limit = limit;
        _keys = new KvListKey[keysAtFirst];
    }

    // One record more than the limit shows whether this page is the last.
    public readonly int Room => _limit + 1 - _count;

    public readonly ReadOnlySpan<byte> LastKey => _count == 0 ? default : Encoding.UTF8.GetBytes(_keys[_count - 1].Name);

    /// <summary>The keys that begin with a prefix and come after a key, up to a limit.</summary>
    public static KvListPage Read(ShardedStore store, ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> after, int limit)
    {
        while (true)
        {
            var state = store.BeginStateRead();
            var page = new ListPage(limit, Math.Min(limit, KeysAtFirst));
            store.List(prefix, after, ref page);
            if (store.IsSameState(state))
            {
                return page.ToPage();
            }
        }
    }

    /// <summary>The page that these records make. One record more than the limit shows that there is another page.</summary>
    public static KvListPage Of(ReadOnlySpan<Record> found, int limit)
    {
        var page = new ListPage(limit, Math.Min(limit, found.Length));
        foreach (ref readonly var record in found)
        {
            if (!page.Offer(record))
            {
                break;
            }
        }

        return page.ToPage();
    }

    // By itself for the same reason as the loop that calls it.
    [MethodImpl(MethodImplOptions.NoInlining)]
    public bool Offer(Record record)
    {
        if (_count == _keys.Length && !TryGrow())
        {
            _isMore = true;
            return false;
        }

        _keys[_count++] = new KvListKey(
            Utf8Text.Decode(record.Key), record.Revision, record.Deadline, record.MetadataBytes == 0 ? null : record.Segment, record.Offset);
        return true;
    }

    private bool TryGrow()
    {
        if (_count == _limit)
        {
            return false;
        }

        Array.Resize(ref _keys, (int)Math.Min(_limit, (long)_count * Growth));
        return true;
    }

    private KvListPage ToPage()
    {
        if (_count < _keys.Length)
        {
            Array.Resize(ref _keys, _count);
        }

        return new KvListPage(_keys, _isMore ? ListCursor.After(LastKey) : null);
    }
}
