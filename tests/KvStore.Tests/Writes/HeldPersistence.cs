using System.Text;

namespace KvStore.Tests.Writes;

/// <summary>A provider that completes appends when the test says so.</summary>
internal sealed class HeldPersistence : IKvPersistence
{
    private readonly List<Append> _appends = [];

    /// <summary>Whether appends wait; otherwise they complete at once.</summary>
    public bool IsHolding { get; set; }

    public IKvPersistenceHost Host { get; private set; } = null!;

    public KvPersistenceHealth Health => KvPersistenceHealth.Healthy;

    public IKvLargeValues? LargeValues => null;

    /// <summary>Everything that was appended, in its order.</summary>
    public IReadOnlyList<Append> Appends
    {
        get
        {
            lock (_appends)
            {
                return [.. _appends];
            }
        }
    }

    /// <summary>What was appended, as text: the operation and the value.</summary>
    public IEnumerable<string> Texts => Appends.Select(append => append.Text);

    public ValueTask<KvRecovery> OpenAsync(IKvPersistenceHost host, CancellationToken cancellationToken = default)
    {
        Host = host;
        return new(new KvRecovery());
    }

    public ValueTask AppendAsync(in KvMutation mutation, CancellationToken cancellationToken = default)
    {
        var kind = mutation.IsDelete ? "delete" : mutation.TouchedRevision != 0 ? $"touch {mutation.TouchedRevision}" : "put";
        var append = new Append(mutation.Revision, $"{kind} {Encoding.UTF8.GetString(mutation.Value.Span)}".TrimEnd());
        if (!IsHolding)
        {
            append.Complete();
        }

        lock (_appends)
        {
            _appends.Add(append);
        }

        return IsHolding ? new(append.Task) : default;
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => default;

    public ValueTask CompactAsync(CancellationToken cancellationToken = default) => default;

    public ValueTask SnapshotAsync(string directory, CancellationToken cancellationToken = default) => default;

    public ValueTask DisposeAsync()
    {
        foreach (var append in Appends)
        {
            append.Complete();
        }

        return default;
    }

    /// <summary>One append.</summary>
    public sealed class Append(long revision, string text)
    {
        private readonly TaskCompletionSource _completion = new();

        public long Revision => revision;

        public string Text => text;

        public Task Task => _completion.Task;

        public bool IsComplete => _completion.Task.IsCompleted;

        public void Complete() => _completion.TrySetResult();

        public void Fail() => _completion.TrySetException(new KvPersistenceException("The disk said no."));
    }
}
