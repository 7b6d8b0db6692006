namespace KvStore.AspNetCore.Tests.Tools;

/// <summary>The real tools, as npm installs them in <c>artifacts/tools</c>; without them, the tests that need them are skipped.</summary>
internal static class RealTools
{
    private static readonly string s_modules = Path.Combine(SourceTree.Root, "artifacts", "tools", "node_modules");

    public static string Wrangler => Path.Combine(s_modules, "wrangler", "bin", "wrangler.js");

    public static string Workerd => Path.Combine(s_modules, "@cloudflare", Platform, "bin", OperatingSystem.IsWindows() ? "workerd.exe" : "workerd");

    private static string Platform => (OperatingSystem.IsWindows() ? "workerd-windows-" : OperatingSystem.IsMacOS() ? "workerd-darwin-" : "workerd-linux-")
        + (System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.Arm64 ? "arm64" : "64");

    public static void SkipUnlessInstalled(string path) => Skip.IfNot(
        File.Exists(path),
        $"{Path.GetFileName(path)} is not installed: copy tests/KvStore.AspNetCore.Tests/Tools/package.json to artifacts/tools and run npm install there, as .ci/run does.");
}
