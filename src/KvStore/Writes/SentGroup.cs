using System.Diagnostics;
using System.Threading.Tasks.Sources;

namespace KvStore.Writes;

/// <summary>The writes of a group that the engine has, and that are not published yet. Each is waited for by its number.</summary>
/// <remarks>Filled by one thread before <see cref="Begin"/>. From then on, completed by one, and waited for by any.</remarks>
internal sealed class SentGroup : IValueTaskSource
{
    private readonly SentWrite?[] _writes;
    private readonly ConditionCheck?[] _checks;
    private Exception?[]? _failures;
    private SentWrite? _last;
    private Task _completed = Task.CompletedTask;

    /// <param name="count">How many writes there may be.</param>
    public SentGroup(int count)
    {
        Debug.Assert(count <= short.MaxValue, "The number of a write is the token of its task.");
        (_writes, _checks) = (new SentWrite?[count], new ConditionCheck?[count]);
    }

    /// <summary>The highest number is lower than this.</summary>
    public int Count => _writes.Length;

    public SentWrite this[int number] => _writes[number]!;

    /// <summary>Adds a write that was sent.</summary>
    public void Add(int number, SentWrite write, ConditionCheck? check) => (_writes[number], _checks[number], _last) = (write, check, write);

    /// <summary>Whether the write with a number was sent.</summary>
    public bool Contains(int number) => _writes[number] is not null;

    /// <summary>Begins to complete the writes.</summary>
    public void Begin(Func<SentGroup, Task> complete) => _completed = complete(this);

    /// <summary>Completes when the engine has decided the last write.</summary>
    public Task WhenLastIsDecided() => _last?.Outcome ?? Task.CompletedTask;

    /// <summary>The engine has decided a write, and it is published.</summary>
    public void Note(int number, in KvEngineOutcome outcome) => _checks[number]?.NoteOutcome(outcome);

    /// <summary>A write has failed.</summary>
    public void Note(int number, Exception failure) => (_failures ??= new Exception?[Count])[number] = failure;

    /// <summary>Completes when a write is visible, with its failure if it has failed.</summary>
    public ValueTask WhenDone(int number) => new(this, (short)number);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) =>
        !_completed.IsCompleted ? ValueTaskSourceStatus.Pending
        : _failures?[token] is null ? ValueTaskSourceStatus.Succeeded
        : ValueTaskSourceStatus.Faulted;

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        Debug.Assert(!flags.HasFlag(ValueTaskSourceOnCompletedFlags.UseSchedulingContext), "Callers go on anywhere.");
        _completed.ConfigureAwait(false).GetAwaiter().OnCompleted(() => continuation(state));
    }

    void IValueTaskSource.GetResult(short token)
    {
        _completed.GetAwaiter().GetResult();
        if (_failures?[token] is { } failure)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        }
    }
}
