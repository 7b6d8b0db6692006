using Xunit.Abstractions;

namespace KvStore.RealPartsTests;

/// <summary>
/// The n-th system call of each kind fails, for n over the whole life of a namespace: opening, writing, compacting, copying,
/// closing. What was acknowledged is there afterwards, what was refused is not, and every call comes back.
/// </summary>
public sealed class FailingCallTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("kvstore-calls-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    public static TheoryData<string, string, string, bool> Failures
    {
        get
        {
            var failures = new TheoryData<string, string, string, bool>();
            foreach (var isForGood in new[] { false, true })
            {
                Add(CallKind.Create, CallAction.Fail, CallError.NoSpace);
                Add(CallKind.Create, CallAction.FailDone, CallError.InputOutput);
                Add(CallKind.Open, CallAction.Fail, CallError.InputOutput);
                Add(CallKind.Write, CallAction.Fail, CallError.NoSpace);
                Add(CallKind.Write, CallAction.Fail, CallError.QuotaExceeded);
                Add(CallKind.Write, CallAction.FailHalfDone, CallError.InputOutput);
                Add(CallKind.Write, CallAction.FailDone, CallError.InputOutput);
                Add(CallKind.Read, CallAction.Fail, CallError.InputOutput);
                Add(CallKind.FlushData, CallAction.Fail, CallError.InputOutput);
                Add(CallKind.FlushData, CallAction.FailDone, CallError.InputOutput);
                Add(CallKind.FlushDirectory, CallAction.Fail, CallError.InputOutput);
                Add(CallKind.Truncate, CallAction.Fail, CallError.NoSpace);
                Add(CallKind.Rename, CallAction.Fail, CallError.NoSpace);
                Add(CallKind.Rename, CallAction.FailDone, CallError.InputOutput);
                Add(CallKind.Unlink, CallAction.Fail, CallError.InputOutput);
                Add(CallKind.Unlink, CallAction.FailDone, CallError.InputOutput);
                Add(CallKind.MakeDirectory, CallAction.Fail, CallError.NoSpace);
                Add(CallKind.List, CallAction.Fail, CallError.InputOutput);

                void Add(CallKind kind, CallAction action, CallError error) =>
                    failures.Add(kind.ToString(), action.ToString(), error.ToString(), isForGood);
            }

            return failures;
        }
    }

    public static TheoryData<string, string> Shortages
    {
        get
        {
            var shortages = new TheoryData<string, string>();
            foreach (var kind in new[] { CallKind.Create, CallKind.Open, CallKind.List })
            {
                shortages.Add(kind.ToString(), nameof(CallError.TooManyFiles));
                shortages.Add(kind.ToString(), nameof(CallError.TooManyFilesInSystem));
            }

            return shortages;
        }
    }

    public static TheoryData<string, string, string> Harmless => new()
    {
        { nameof(CallKind.Create), nameof(CallAction.Fail), nameof(CallError.Interrupted) },
        { nameof(CallKind.Open), nameof(CallAction.Fail), nameof(CallError.Interrupted) },
        { nameof(CallKind.Write), nameof(CallAction.Fail), nameof(CallError.Interrupted) },
        { nameof(CallKind.Write), nameof(CallAction.Short), nameof(CallError.None) },
        { nameof(CallKind.Read), nameof(CallAction.Fail), nameof(CallError.Interrupted) },
        { nameof(CallKind.Read), nameof(CallAction.Short), nameof(CallError.None) },
        { nameof(CallKind.FlushData), nameof(CallAction.Fail), nameof(CallError.Interrupted) },
        { nameof(CallKind.FlushDirectory), nameof(CallAction.Fail), nameof(CallError.Interrupted) },
        { nameof(CallKind.Truncate), nameof(CallAction.Fail), nameof(CallError.Interrupted) },
        { nameof(CallKind.Lock), nameof(CallAction.Fail), nameof(CallError.Interrupted) },
        { nameof(CallKind.FlushDirectory), nameof(CallAction.Fail), nameof(CallError.InvalidArgument) },
    };

    [RealPartTheory(RealPart.CCompiler)]
    [MemberData(nameof(Failures))]
    public Task Failing_call_of_any_kind_loses_nothing_and_brings_nothing_back(string kind, string action, string error, bool isForGood) =>
        RunAsync(kind, action, error, isForGood);

    [RealPartTheory(RealPart.CCompiler)]
    [MemberData(nameof(Shortages))]
    public Task Shortage_of_descriptors_fails_that_put_and_not_the_next(string kind, string error) =>
        RunAsync(kind, nameof(CallAction.Fail), error, isForGood: false);

    [RealPartTheory(RealPart.CCompiler)]
    [MemberData(nameof(Harmless))]
    public Task Interrupted_or_short_call_is_no_failure(string kind, string action, string error) =>
        RunAsync(kind, action, error, isForGood: false);

    [RealPartTheory(RealPart.CCompiler)]
    [InlineData(Durability.Interval, nameof(CallAction.Fail), nameof(CallError.NoSpace), false)]
    [InlineData(Durability.Interval, nameof(CallAction.Fail), nameof(CallError.NoSpace), true)]
    [InlineData(Durability.Buffered, nameof(CallAction.Fail), nameof(CallError.QuotaExceeded), true)]
    [InlineData(Durability.Buffered, nameof(CallAction.FailDone), nameof(CallError.InputOutput), true)]
    [InlineData(Durability.Interval, nameof(CallAction.Fail), nameof(CallError.NotSupported), true)]
    [InlineData(Durability.Interval, nameof(CallAction.Fail), nameof(CallError.Interrupted), false)]
    public Task Failing_reservation_in_a_relaxed_mode_loses_nothing(Durability durability, string action, string error, bool isForGood) =>
        RunAsync(nameof(CallKind.Allocate), action, error, isForGood, durability);

    private async Task RunAsync(string kind, string action, string error, bool isForGood, Durability durability = Durability.Immediate)
    {
        var child = new Child(
            "failing-calls",
            $"directory={_directory}",
            $"kind={kind}",
            $"action={action}",
            $"error={error}",
            $"for-good={(isForGood ? 1 : 0)}",
            $"durability={durability}",
            $"runs={LongForm.Times(8)}",
            $"seed={LongForm.Seed}");
        child.Environment["LD_PRELOAD"] = FailingCalls.Library;

        await child.RunAsync();

        foreach (var note in child.Notes)
        {
            output.WriteLine(note);
        }

        child.MustHaveDone();
    }
}
