using System.Text;
using KvStore.Keys;
using KvStore.Replication;
using KvStore.Rules;

namespace KvStore.Writes;

/// <summary>One call that puts many entries, which were checked. Streams, and values that are kept in files of their own, are put one by one.</summary>
/// <param name="limits">The limits of the namespace.</param>
/// <param name="writes">Reads the options.</param>
/// <param name="commit">Commits the puts.</param>
/// <param name="entries">The entries.</param>
/// <param name="checkedAt">When they were checked.</param>
/// <param name="origin">The region in which the puts are made; null where the namespace is not replicated.</param>
/// <param name="cancellationToken">Ends the call where it waits.</param>
internal sealed class PutManyCall(
    KvLimits limits, WritePath writes, CommitPath commit, KvEntry[] entries, DateTimeOffset checkedAt, RegionView? origin, CancellationToken cancellationToken)
    : ManyCall(commit, entries.Length, "written", cancellationToken)
{
    private KvEntry[] _entries = entries;

    /// <summary>Puts the entries.</summary>
    public ValueTask PutAsync()
    {
        if (origin is null && Commit.IsDirect)
        {
            // Where that ends, because there is a stream, a pending call or a failure, the rest goes the common way.
            NoteDone(new DirectPuts(limits, writes, Commit, _entries, checkedAt).Run());
        }

        return RunAsync();
    }

    protected override string KeyOf(int number) => _entries[number].Key;

    protected override byte[] Utf8KeyOf(int number) => Encoding.UTF8.GetBytes(_entries[number].Key);

    protected override void CopyEntries() => _entries = [.. _entries];

    protected override bool IsInGroup(int number)
    {
        var content = _entries[number].Content;
        return !content.IsStreamed && !Commit.IsLarge(content);
    }

    protected override void Prefetch(int number)
    {
        if (KeyRules.TryAscii(_entries[number].Key, limits.KeyBytesMax, out var hash))
        {
            Commit.Prefetch(hash);
        }
    }

    protected override void Draft(WriteGroup group, int number, PendingCall? call)
    {
        ref readonly var entry = ref _entries[number];
        var (deadline, metadata) = writes.CheckedOptionsOf(entry.Key, entry.Options, checkedAt);
        if (KeyRules.TryAscii(entry.Key, limits.KeyBytesMax, out var hash))
        {
            Commit.AddPut(group, number, new AsciiKey(entry.Key, hash), entry.Content, metadata, deadline, origin, call);
            return;
        }

        using var encoded = new EncodedKey(entry.Key, limits.KeyBytesMax, "PUT", stackalloc byte[EncodedKey.StackBytes]);
        Commit.AddPut(group, number, encoded.Key, entry.Content, metadata, deadline, origin, call);
    }

    protected override ValueTask CommitAloneAsync(int number, PendingCall call, CancellationToken cancellationToken)
    {
        var entry = _entries[number];
        var (deadline, metadata) = writes.CheckedOptionsOf(entry.Key, entry.Options, checkedAt);
        return Commit.PutInTurnAsync(
            call, entry.Content, metadata, writes.DeadlineAtEnd(entry.Key, entry.Options, deadline), origin, cancellationToken);
    }
}
