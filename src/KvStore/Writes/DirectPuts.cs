using System.Runtime.CompilerServices;
using KvStore.Keys;
using KvStore.Records;
using KvStore.Rules;
using KvStore.Segments;

namespace KvStore.Writes;

/// <summary>
/// Puts many entries into a namespace in memory alone, where a put is published when it is decided: a few at a time, so that the cache
/// misses of their searches overlap, and their records are still in the cache when they are published.
/// </summary>
/// <remarks>
/// Ends at the first entry that cannot be put like this, or fails. Nothing of that entry was changed then. Used once, by one thread.
/// </remarks>
internal readonly ref struct DirectPuts(KvLimits limits, WritePath writes, CommitPath commit, ReadOnlySpan<KvEntry> entries, DateTimeOffset checkedAt)
{
    private const int AtOnce = 32;

    private readonly ReadOnlySpan<KvEntry> _entries = entries;

    /// <summary>Puts the first entries.</summary>
    /// <returns>How many were put.</returns>
    public int Run()
    {
        var done = 0;
        var buffer = default(Drafts);
        Span<RecordDraft> drafts = buffer;
        Span<ulong> hashes = stackalloc ulong[AtOnce];
        while (done < _entries.Length)
        {
            var some = _entries.Slice(done, Math.Min(AtOnce, _entries.Length - done));
            Prefetch(some, hashes);
            var drafted = Draft(some, hashes, drafts);
            var published = drafted == 0 ? 0 : commit.PublishDirectly(drafts[..drafted], hashes);
            done += published;
            if (published < some.Length)
            {
                break;
            }
        }

        return done;
    }

    private void Prefetch(ReadOnlySpan<KvEntry> some, Span<ulong> hashes)
    {
        for (var i = 0; i < some.Length; i++)
        {
            if (KeyRules.TryAscii(some[i].Key, limits.KeyBytesMax, out hashes[i]))
            {
                commit.Prefetch(hashes[i]);
            }
        }
    }

    // Drafts entries up to the first one that cannot be drafted.
    private int Draft(ReadOnlySpan<KvEntry> some, Span<ulong> hashes, Span<RecordDraft> drafts)
    {
        var drafted = 0;
        try
        {
            while (drafted < some.Length && !some[drafted].Content.IsStreamed)
            {
                drafts[drafted] = Draft(some[drafted], ref hashes[drafted]);
                drafted++;
            }
        }
        catch (Exception)
        {
            // It fails again, or it does not, where its failure is reported.
        }

        return drafted;
    }

    private RecordDraft Draft(in KvEntry entry, ref ulong hash)
    {
        var (deadline, metadata) = writes.CheckedOptionsOf(entry.Key, entry.Options, checkedAt);
        return hash != 0 ? commit.DraftOf(new AsciiKey(entry.Key, hash), entry.Content, metadata.Span, deadline) : DraftEncoded(entry, metadata.Span, deadline, out hash);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private RecordDraft DraftEncoded(in KvEntry entry, ReadOnlySpan<byte> metadata, Deadline deadline, out ulong hash)
    {
        using var encoded = new EncodedKey(entry.Key, limits.KeyBytesMax, "PUT", stackalloc byte[EncodedKey.StackBytes]);
        hash = encoded.Key.Hash;
        return commit.DraftOf(encoded.Key, entry.Content, metadata, deadline);
    }

    [InlineArray(AtOnce)]
    private struct Drafts
    {
        private RecordDraft _first;
    }
}
