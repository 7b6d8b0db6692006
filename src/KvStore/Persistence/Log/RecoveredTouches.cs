using System.Diagnostics.CodeAnalysis;
using KvStore.Keys;
using KvStore.Records;

namespace KvStore.Persistence.Log;

/// <summary>The touches that recovery has found: of each key the one with the highest revision.</summary>
/// <remarks>
/// <para>A touch has no value, so it is applied when all puts and deletes were recovered, in whatever order they were read. A touch was
/// only made of an entry that stood, and every put and every delete of a key is a record. So the entry that a touch belongs to is
/// the last put before it, and of several touches only the last one counts.</para>
/// <para>Takes about 150 bytes and the key for each key that was touched since the last snapshot, until the opening has ended.</para>
/// <para>Thread safety: <see cref="Add"/> and <see cref="TryFind"/> from any thread.</para>
/// </remarks>
internal sealed class RecoveredTouches
{
    private const int StripeCount = 64;

    private readonly (Lock Lock, KeyTable<Touch> Keys)[] _stripes = [.. Enumerable.Range(0, StripeCount).Select(_ => (new Lock(), new KeyTable<Touch>()))];

    /// <summary>All of them, in any order. Nothing may be added meanwhile.</summary>
    public IEnumerable<KvMutation> All => _stripes.SelectMany(stripe => stripe.Keys.Items).Select(touch => touch.ToMutation());

    /// <summary>Adds a touch, unless its key has a later one.</summary>
    public void Add(in LogRecord record)
    {
        var key = new Utf8Key(record.Key);
        var (stripeLock, keys) = StripeOf(key.Hash);
        lock (stripeLock)
        {
            var touch = keys.Find(key);
            if (touch is null)
            {
                touch = new Touch(record.Key.ToArray(), key.Hash);
                keys.Add(touch);
            }

            if (touch.Revision < record.Revision)
            {
                touch.Set(record);
            }
        }
    }

    /// <summary>Finds the deadline that the last touch of a key gave to the entry of a revision, or to a later one.</summary>
    public bool TryFind(ReadOnlySpan<byte> utf8Key, long revision, [NotNullWhen(true)] out Deadline? deadline)
    {
        var key = new Utf8Key(utf8Key);
        var (stripeLock, keys) = StripeOf(key.Hash);
        lock (stripeLock)
        {
            deadline = keys.Find(key) is { } touch && touch.TouchedRevision >= revision ? touch.Deadline : null;
            return deadline is not null;
        }
    }

    private (Lock Lock, KeyTable<Touch> Keys) StripeOf(ulong hash) => _stripes[hash % StripeCount];

    private sealed class Touch(byte[] key, ulong hash) : KeyedItem<Touch>(key, hash)
    {
        public long Revision { get; private set; }

        public long TouchedRevision { get; private set; }

        public Deadline Deadline { get; private set; }

        public void Set(in LogRecord record)
        {
            Revision = record.Revision;
            TouchedRevision = record.TouchedRevision;
            Deadline = new Deadline(record.DeadlineSeconds, record.DeadlineRounding);
        }

        public KvMutation ToMutation() => new()
        {
            Key = Key,
            Revision = Revision,
            TouchedRevision = TouchedRevision,
            DeadlineSeconds = Deadline.Seconds,
            DeadlineRounding = Deadline.Rounding,
        };
    }
}
