namespace KvStore.Hybrid;

/// <summary>A change of a key that is under way: a creation, a set or a removal.</summary>
/// <remarks>Its mutable state belongs to <see cref="KeyWrites"/>, and is touched under its lock.</remarks>
/// <param name="key">The key of the caller.</param>
/// <param name="tags">The tags of the entry that it writes.</param>
internal class KeyWrite(string key, string[] tags)
{
    // Most changes end before anybody waits for them.
    private TaskCompletionSource? _ended;

    /// <summary>The key of the caller.</summary>
    public string Key { get; } = key;

    /// <summary>The tags of the entry that it writes.</summary>
    public string[] Tags { get; } = tags;

    /// <summary>Whether it changes the namespace now, so that later changes of the key and removals wait for it.</summary>
    public bool IsStoring { get; set; }

    /// <summary>Whether its value must not be stored, because the key or one of its tags was removed, or the key set, since it began.</summary>
    public bool IsOutdated { get; set; }

    /// <summary>The next change of the same key.</summary>
    public KeyWrite? Next { get; set; }

    /// <summary>Completes when it has ended. Call only while it is among the changes that are under way.</summary>
    public Task WhenEnded() => (_ended ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    /// <summary>Completes <see cref="WhenEnded"/>. Call only when it is no longer among the changes that are under way.</summary>
    public void SetEnded() => _ended?.TrySetResult();

    /// <summary>No caller joins it any more.</summary>
    public virtual void Detach()
    {
    }
}
