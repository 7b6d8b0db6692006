using System.Runtime.CompilerServices;

namespace KvStore.AspNetCore.Tests.Tools;

/// <summary>The real tools, as npm installs them in <c>artifacts/tools</c>; without them, the tests that need them are skipped.</summary>
internal static class RealTools
{
    private static readonly string s_modules = Path.Combine(FindRoot(), "artifacts", "tools", "node_modules");

    public static string Wrangler => Path.Combine(s_modules, "wrangler", "bin", "wrangler.js");

    public static string Workerd => Path.Combine(s_modules, "@cloudflare", Platform, "bin", OperatingSystem.IsWindows() ? "workerd.exe" : "workerd");

    private static string Platform => (OperatingSystem.IsWindows() ? "workerd-windows-" : OperatingSystem.IsMacOS() ? "workerd-darwin-" : "workerd-linux-")
        + (System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.Arm64 ? "arm64" : "64");

    public static void SkipUnlessInstalled(string path) => Skip.IfNot(
        File.Exists(path),
        $"{Path.GetFileName(path)} is not installed: copy tests/KvStore.AspNetCore.Tests/Tools/package.json to artifacts/tools and run npm install there, as .ci/run does.");

    private static string FindRoot([CallerFilePath] string thisFile = "")
    {
        // A deterministic build maps the paths of the compiler; then the test runs somewhere below the repository.
        var start = File.Exists(thisFile) ? Path.GetDirectoryName(thisFile)! : AppContext.BaseDirectory;
        for (var directory = new DirectoryInfo(start); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "KvStore.sln")))
            {
                return directory.FullName;
            }
        }

        throw new InvalidOperationException("The tests must run below the repository.");
    }
}
