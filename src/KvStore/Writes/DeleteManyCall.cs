using System.Text;
using KvStore.Keys;
using KvStore.Replication;

namespace KvStore.Writes;

/// <summary>One call that deletes many keys, which were checked, and counts those that existed.</summary>
/// <param name="commit">Commits the deletes.</param>
/// <param name="keys">The keys, each of them once.</param>
/// <param name="origin">The region in which the deletes are made; null where the namespace is not replicated.</param>
/// <param name="cancellationToken">Ends the call where it waits.</param>
internal sealed class DeleteManyCall(CommitPath commit, IReadOnlyList<NumberedKey> keys, RegionView? origin, CancellationToken cancellationToken)
    : ManyCall(commit, keys.Count, "deleted", cancellationToken)
{
    private long _existed;

    /// <summary>Deletes the keys.</summary>
    /// <returns>How many existed.</returns>
    public ValueTask<long> DeleteAsync()
    {
        var run = RunAsync();
        return run.IsCompletedSuccessfully ? new(_existed) : CountAsync(run);

        async ValueTask<long> CountAsync(ValueTask run)
        {
            await run.ConfigureAwait(false);
            return _existed;
        }
    }

    protected override int NumberOf(int number) => keys[number].Number;

    protected override string KeyOf(int number) => keys[number].Text;

    protected override byte[] Utf8KeyOf(int number) => keys[number].Utf8;

    protected override bool IsInGroup(int number) => true;

    protected override void Prefetch(int number) => Commit.Prefetch(KeyHash.OfUtf8(keys[number].Utf8));

    protected override void Draft(WriteGroup group, int number, PendingCall? call) =>
        Commit.AddDelete(group, number, keys[number].Utf8, origin, condition: null, call);

    protected override void OnWritten(WriteGroup group)
    {
        foreach (ref readonly var item in group.Items)
        {
            _existed += item.Check!.Existed ? 1 : 0;
        }
    }
}

/// <summary>A key of a call that deletes many.</summary>
/// <param name="Number">Its number in the caller's collection.</param>
/// <param name="Text">The key.</param>
/// <param name="Utf8">The key in UTF-8.</param>
internal readonly record struct NumberedKey(int Number, string Text, byte[] Utf8);
