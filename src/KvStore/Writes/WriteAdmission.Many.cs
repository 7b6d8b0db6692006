using System.Diagnostics;
using System.Runtime.InteropServices;
using KvStore.Keys;
using KvStore.Rules;

namespace KvStore.Writes;

/// <content>
/// Many writes of one call count as one write of the namespace, and as one of each key, as a bulk request of the service does. They are
/// checked before the first of them is made, and each again when it is decided: other writes may have come in between.
/// </content>
internal sealed partial class WriteAdmission
{
    private bool _isDecidingMany;

    /// <summary>The writes that are decided now belong to one call, whose rate was checked before.</summary>
    public void BeginMany()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread && !_isDecidingMany);
        _isDecidingMany = true;
    }

    public void EndMany()
    {
        Debug.Assert(_lock.IsHeldByCurrentThread && _isDecidingMany);
        _isDecidingMany = false;
    }

    /// <summary>Checks the writes of one call in their order, before the first of them is made.</summary>
    /// <param name="operation">PUT or DELETE.</param>
    /// <param name="keys">The keys in UTF-8.</param>
    /// <param name="bytes">The length of key, metadata and value of each put, as far as it is known; null for deletes.</param>
    /// <param name="current">The number of the write that is checked, or was refused.</param>
    /// <exception cref="KvException">There is no room (413), or it comes too soon (429).</exception>
    public void CheckMany(string operation, IReadOnlyList<byte[]> keys, IReadOnlyList<long>? bytes, ref int current)
    {
        Debug.Assert(_lock.IsHeldByCurrentThread);
        if (_enforceRate)
        {
            for (current = 0; current < keys.Count; current++)
            {
                CheckRate(new Utf8Key(keys[current]), operation);
            }
        }

        if (bytes is not null && IsLimited)
        {
            CheckRoomOfMany(keys, bytes, ref current);
        }
    }

    private void CheckRoomOfMany(IReadOnlyList<byte[]> keys, IReadOnlyList<long> bytes, ref int current)
    {
        var (keysAfter, bytesAfter) = (_store.Count + _inFlight.Count, _store.CountedLiveBytes + _bytesInFlight);
        if (IsRoomFor(keysAfter + keys.Count, bytesAfter + bytes.Sum()))
        {
            return;
        }

        (keysAfter, bytesAfter) = Size();
        var written = new Dictionary<string, long>(StringComparer.Ordinal);
        for (current = 0; current < keys.Count; current++)
        {
            var key = new Utf8Key(keys[current]);
            ref var sizeBefore = ref CollectionsMarshal.GetValueRefOrAddDefault(written, Convert.ToHexString(keys[current]), out var isWritten);
            var before = isWritten ? (Keys: 1, Bytes: sizeBefore) : MostOf(key, out _, out _);
            CheckSize(key, keysAfter + 1 - before.Keys, bytesAfter + bytes[current] - before.Bytes, isNew: before.Keys == 0, grows: bytes[current] > before.Bytes);
            keysAfter += 1 - before.Keys;
            bytesAfter += bytes[current] - before.Bytes;
            sizeBefore = bytes[current];
        }
    }
}
