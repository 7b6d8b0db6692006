namespace KvStore.Dashboard.Forms;

/// <summary>
/// One change of a key at a time, as far as this dashboard makes them: between looking whether an entry is still the one that
/// was edited and putting it, no other editor comes.
/// </summary>
internal sealed class KeyTurns
{
    private readonly SemaphoreSlim[] _turns = [.. Enumerable.Range(0, 64).Select(_ => new SemaphoreSlim(1, 1))];

    public async ValueTask<Turn> EnterAsync(string id, string key, CancellationToken cancellationToken)
    {
        var turn = _turns[(uint)HashCode.Combine(id, key) % _turns.Length];
        await turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        return new Turn(turn);
    }

    internal readonly struct Turn(SemaphoreSlim turn) : IDisposable
    {
        public void Dispose() => turn.Release();
    }
}
