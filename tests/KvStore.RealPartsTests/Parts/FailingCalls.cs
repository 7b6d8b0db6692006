using System.Diagnostics;

namespace KvStore.RealPartsTests.Parts;

/// <summary>The library that makes system calls fail, built once for each run of the tests.</summary>
internal static class FailingCalls
{
    private static readonly Lazy<string> s_library = new(Build);

    public static string Library => s_library.Value;

    private static string Build()
    {
        // Built under a name of its own and moved, so that no other process loads a half-written one.
        var library = Path.Combine(AppContext.BaseDirectory, "failing_calls.so");
        var built = $"{library}.{Environment.ProcessId}";
        var source = Path.Combine(AppContext.BaseDirectory, "Shim", "failing_calls.c");
        var start = new ProcessStartInfo(Installed.CCompiler!, ["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", built, source, "-ldl"])
        {
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        process.ExitCode.Should().Be(0, "the compiler says: {0}", error);
        File.Move(built, library, overwrite: true);
        return library;
    }
}
