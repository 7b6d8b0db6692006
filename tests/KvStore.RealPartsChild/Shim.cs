using System.Runtime.InteropServices;

namespace KvStore.RealPartsChild;

/// <summary>The kinds of calls, in the order of failing_calls.c.</summary>
internal enum CallKind
{
    Any,
    Create,
    Open,
    Write,
    Read,
    FlushData,
    Flush,
    FlushDirectory,
    Truncate,
    Allocate,
    Rename,
    Unlink,
    Lock,
    MakeDirectory,
    List,
}

/// <summary>What happens to a call, in the order of failing_calls.c.</summary>
internal enum CallAction
{
    Nothing,
    Fail,
    FailHalfDone,
    FailDone,
    Short,
    Kill,
    KillHalfDone,
}

/// <summary>The numbers of the errors, on Linux.</summary>
internal enum CallError
{
    None = 0,
    Interrupted = 4,
    InputOutput = 5,
    InvalidArgument = 22,
    TooManyFilesInSystem = 23,
    TooManyFiles = 24,
    NoSpace = 28,
    NotSupported = 95,
    QuotaExceeded = 122,
}

/// <summary>The preloaded library that makes system calls fail, asked from inside.</summary>
internal sealed unsafe class Shim
{
    private readonly delegate* unmanaged<byte*, int, nint, int, int, int, void> _arm;
    private readonly delegate* unmanaged<void> _disarm;
    private readonly delegate* unmanaged<nint> _fired;
    private readonly delegate* unmanaged<int, nint> _count;
    private readonly delegate* unmanaged<byte*> _firedPath;

    private Shim(nint program)
    {
        _arm = (delegate* unmanaged<byte*, int, nint, int, int, int, void>)NativeLibrary.GetExport(program, "kvshim_arm");
        _disarm = (delegate* unmanaged<void>)NativeLibrary.GetExport(program, "kvshim_disarm");
        _fired = (delegate* unmanaged<nint>)NativeLibrary.GetExport(program, "kvshim_fired");
        _count = (delegate* unmanaged<int, nint>)NativeLibrary.GetExport(program, "kvshim_count");
        _firedPath = (delegate* unmanaged<byte*>)NativeLibrary.GetExport(program, "kvshim_fired_path");
    }

    /// <summary>How many calls were changed since it was armed.</summary>
    public long Fired => _fired();

    /// <summary>The file of the first call that was changed.</summary>
    public string FiredPath => Marshal.PtrToStringUTF8((nint)_firedPath()) ?? "";

    /// <summary>Null when nothing was preloaded.</summary>
    public static Shim? Find()
    {
        var program = NativeLibrary.GetMainProgramHandle();
        return NativeLibrary.TryGetExport(program, "kvshim_arm", out _) ? new Shim(program) : null;
    }

    public static Shim Get() => Find() ?? throw new InvalidOperationException("The library with the failing calls is not preloaded.");

    public void Arm(string directory, CallKind kind, long call, CallAction action, CallError error, bool isForGood)
    {
        var path = Marshal.StringToCoTaskMemUTF8(directory);
        _arm((byte*)path, (int)kind, (nint)call, (int)action, (int)error, isForGood ? 1 : 0);
        Marshal.FreeCoTaskMem(path);
    }

    public void Disarm() => _disarm();

    /// <summary>The calls of a kind since it was armed.</summary>
    public long Count(CallKind kind) => _count((int)kind);
}
