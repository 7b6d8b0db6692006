using System.Diagnostics;
using Microsoft.Extensions.Caching.Hybrid;

namespace KvStore.Hybrid;

/// <summary>The changes that are under way: creations that callers join, and the order of what is written.</summary>
/// <remarks>
/// <para>What keeps a value from being served after its removal: a removal makes every creation of the key, or of the tag, outdated that has not
/// begun to store its value. It waits for those that have begun, and then deletes. An outdated creation gives its value to the callers who
/// wait for it, stores nothing, and nobody joins it.</para>
/// <para>Changes of one key are stored one after the other, in the order in which they began to store.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
internal sealed class KeyWrites
{
    // A power of two. Enough that misses of different keys seldom wait for each other.
    private const int Stripes = 16;

    private readonly Stripe[] _stripes = new Stripe[Stripes];

    public KeyWrites()
    {
        for (var i = 0; i < Stripes; i++)
        {
            _stripes[i] = new Stripe();
        }
    }

    /// <summary>How many changes are under way.</summary>
    public int Count => _stripes.Sum(static stripe => stripe.Count);

    /// <summary>A number that is another one when a change of the key has ended. Take it before looking for the entry.</summary>
    public long EndedOf(string key) => StripeOf(key).Ended;

    /// <summary>Joins the creation of a key, or begins one.</summary>
    /// <param name="key">The key.</param>
    /// <param name="ended"><see cref="EndedOf"/> before the caller looked for the entry.</param>
    /// <param name="flags">The flags of the call. Calls with different flags do not join.</param>
    /// <param name="tags">The tags of the entry, if a creation begins.</param>
    /// <param name="canLeave">Whether the caller can be cancelled.</param>
    /// <param name="creation">The creation.</param>
    /// <returns>Whether it began, and the caller has to run it.</returns>
    /// <exception cref="InvalidOperationException">A value of another type is being created for the key.</exception>
    public bool TryBegin<T>(string key, long ended, HybridCacheEntryFlags flags, string[] tags, bool canLeave, out Creation<T> creation)
    {
        var stripe = StripeOf(key);
        lock (stripe.Lock)
        {
            for (var other = stripe.First(key); other is not null; other = other.Next)
            {
                if (other is not Creation found || found.Flags != flags || !found.IsOpen)
                {
                    continue;
                }

                creation = found as Creation<T> ?? throw new InvalidOperationException(
                    $"A value of type {typeof(T)} is asked for, and for the same key a value of type {found.Type} is being created. Use each key with one type.");
                if (creation.TryJoin())
                {
                    return false;
                }
            }

            creation = new Creation<T>(key, flags, tags, canLeave) { MayBeThere = stripe.Ended != ended };
            stripe.Add(creation);
            return true;
        }
    }

    /// <summary>A creation has its value. It may be stored when the task has completed.</summary>
    /// <returns>What to wait for; null when the creation is outdated, and its value must not be stored.</returns>
    public Task? TryBeginStoring(Creation creation)
    {
        var stripe = StripeOf(creation.Key);
        lock (stripe.Lock)
        {
            return creation.IsOutdated ? null : stripe.BeginStoring(creation);
        }
    }

    /// <summary>Begins a change that replaces what is being created. It may be stored when the task has completed.</summary>
    public KeyWrite BeginStoring(string key, string[] tags, out Task earlier)
    {
        var write = new KeyWrite(key, tags);
        var stripe = StripeOf(key);
        lock (stripe.Lock)
        {
            for (var other = stripe.First(key); other is not null; other = other.Next)
            {
                MakeOutdated(other);
            }

            stripe.Add(write);
            earlier = stripe.BeginStoring(write);
        }

        return write;
    }

    /// <summary>Makes creations outdated that have a tag.</summary>
    /// <param name="tags">The tags; null for all entries.</param>
    /// <returns>Completes when nothing is being stored any more that began before.</returns>
    public Task RemoveTaggedAsync(IReadOnlyCollection<string>? tags)
    {
        var storing = new List<Task>();
        foreach (var stripe in _stripes)
        {
            lock (stripe.Lock)
            {
                foreach (var write in stripe.All)
                {
                    if (tags is null || write.Tags.Any(tag => tags.Contains(tag)))
                    {
                        MakeOutdated(write);
                        if (write.IsStoring)
                        {
                            storing.Add(write.WhenEnded());
                        }
                    }
                }
            }
        }

        return Task.WhenAll(storing);
    }

    /// <summary>Nobody joins a creation any more.</summary>
    public void Close(Creation creation)
    {
        lock (StripeOf(creation.Key).Lock)
        {
            creation.Detach();
        }
    }

    /// <summary>A caller of a creation was cancelled. When it was the last one, the factory is cancelled.</summary>
    public void Leave(Creation creation)
    {
        bool isLast;
        lock (StripeOf(creation.Key).Lock)
        {
            isLast = creation.Leave();
        }

        if (isLast)
        {
            creation.Cancel();
        }
    }

    /// <summary>A change has ended.</summary>
    public void End(KeyWrite write)
    {
        var stripe = StripeOf(write.Key);
        lock (stripe.Lock)
        {
            write.Detach();
            stripe.Remove(write);
        }

        write.SetEnded();
    }

    private static void MakeOutdated(KeyWrite write)
    {
        write.Detach();
        if (!write.IsStoring)
        {
            write.IsOutdated = true;
        }
    }

    private Stripe StripeOf(string key) => _stripes[string.GetHashCode(key, StringComparison.Ordinal) & (Stripes - 1)];

    /// <summary>The changes of some keys. All members only while holding <see cref="Lock"/>, except <see cref="Count"/> and <see cref="Ended"/>.</summary>
    private sealed class Stripe
    {
        // The changes of a key are chained, the newest first.
        private readonly Dictionary<string, KeyWrite> _newest = new(StringComparer.Ordinal);
        private int _count;
        private long _ended;

        public Lock Lock { get; } = new();

        public int Count => Volatile.Read(ref _count);

        public long Ended => Volatile.Read(ref _ended);

        public IEnumerable<KeyWrite> All
        {
            get
            {
                foreach (var newest in _newest.Values)
                {
                    for (var write = newest; write is not null; write = write.Next)
                    {
                        yield return write;
                    }
                }
            }
        }

        public KeyWrite? First(string key) => _newest.GetValueOrDefault(key);

        public void Add(KeyWrite write)
        {
            Debug.Assert(Lock.IsHeldByCurrentThread);
            write.Next = First(write.Key);
            _newest[write.Key] = write;
            _count++;
        }

        /// <summary>A change waits for all of its key that are being stored.</summary>
        public Task BeginStoring(KeyWrite write)
        {
            Debug.Assert(Lock.IsHeldByCurrentThread);
            Debug.Assert(!write.IsStoring && !write.IsOutdated);
            List<Task>? earlier = null;
            for (var other = First(write.Key); other is not null; other = other.Next)
            {
                if (other.IsStoring)
                {
                    (earlier ??= []).Add(other.WhenEnded());
                }
            }

            write.IsStoring = true;
            return earlier is null ? Task.CompletedTask : Task.WhenAll(earlier);
        }

        public void Remove(KeyWrite write)
        {
            Debug.Assert(Lock.IsHeldByCurrentThread);
            var first = _newest[write.Key];
            if (first == write)
            {
                if (write.Next is null)
                {
                    _newest.Remove(write.Key);
                }
                else
                {
                    _newest[write.Key] = write.Next;
                }
            }
            else
            {
                while (first.Next != write)
                {
                    first = first.Next!;
                }

                first.Next = write.Next;
            }

            _count--;
            Volatile.Write(ref _ended, _ended + 1);
        }
    }
}
