namespace KvStore.TestKit.Persistence;

/// <summary>Makes a <see cref="SimulatedDisk"/> fail at a chosen call, once or from then on.</summary>
internal sealed class FaultyDisk
{
    private readonly string _operation;
    private readonly int _call;
    private readonly string _message;
    private readonly bool _isForGood;
    private readonly string _only;
    private int _calls;

    /// <summary>Arms a disk.</summary>
    /// <param name="disk">The disk.</param>
    /// <param name="operation">What fails: write, set length, flush, flush directory, create, rename or delete.</param>
    /// <param name="call">Which call, counted from 1.</param>
    /// <param name="message">What the operating system says.</param>
    /// <param name="isForGood">Whether all later calls fail as well.</param>
    /// <param name="only">Only for files with this in their name; other calls are not counted.</param>
    public FaultyDisk(SimulatedDisk disk, string operation, int call, string message, bool isForGood = false, string only = "")
    {
        _only = only;
        _operation = operation;
        _call = call;
        _message = message;
        _isForGood = isForGood;
        disk.BeforeStep = BeforeStep;
    }

    /// <summary>Whether it has failed.</summary>
    public bool HasFailed { get; private set; }

    /// <summary>How often the operation was called.</summary>
    public int Calls => _calls;

    private void BeforeStep(string operation, string name)
    {
        if (operation != _operation || !name.Contains(_only, StringComparison.Ordinal))
        {
            return;
        }

        var call = Interlocked.Increment(ref _calls);
        if (call == _call || (_isForGood && call > _call))
        {
            HasFailed = true;
            throw new IOException(_message);
        }
    }
}
