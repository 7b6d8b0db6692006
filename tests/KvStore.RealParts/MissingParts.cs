using System.Reflection;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace KvStore.RealParts;

/// <summary>What stands for the tests whose parts are missing.</summary>
internal static class MissingParts
{
    /// <summary>
    /// The tests in place of a method's own: one for each missing part that this method is the first of its assembly to need,
    /// and so often none; null when nothing is missing.
    /// </summary>
    public static IReadOnlyList<IXunitTestCase>? Of(ITestMethod method, ITestFrameworkDiscoveryOptions options, IMessageSink sink)
    {
        var type = method.TestClass.Class.ToRuntimeType();
        var missing = PartsOf(method.Method.ToRuntimeMethod()).Where(part => Installed.WhatIsMissing(part) is not null).ToList();
        if (missing.Count == 0)
        {
            return null;
        }

        var cases = new List<IXunitTestCase>();
        foreach (var part in missing)
        {
            var needing = NamesOfThoseThatNeed(part, type.Assembly);
            if (needing[0] != NameOf(type, method.Method.Name))
            {
                continue;
            }

            var message = $"{Installed.WhatIsMissing(part)} ({needing.Count} {(needing.Count == 1 ? "test method needs" : "test methods need")} it)";
            cases.Add(Environment.GetEnvironmentVariable("CI") == "true"
                ? new ExecutionErrorTestCase(
                    sink, options.MethodDisplayOrDefault(), options.MethodDisplayOptionsOrDefault(), method, $"In CI no test may be skipped, but {message}.")
                : new MissingPartTestCase(sink, options.MethodDisplayOrDefault(), options.MethodDisplayOptionsOrDefault(), method, message));
        }

        return cases;
    }

    // Classes inherit tests; each class that has them counts.
    private static List<string> NamesOfThoseThatNeed(RealPart part, Assembly assembly) =>
    [
        .. assembly.GetTypes()
            .Where(type => type is { IsClass: true, IsAbstract: false })
            .SelectMany(type => type.GetMethods().Where(method => PartsOf(method).Contains(part)).Select(method => NameOf(type, method.Name)))
            .Order(StringComparer.Ordinal),
    ];

    private static string NameOf(Type type, string method) => $"{type.FullName}.{method}";

    private static IReadOnlyList<RealPart> PartsOf(MethodInfo method) =>
        method.GetCustomAttributes().OfType<IRealPartAttribute>().FirstOrDefault()?.Parts ?? [];
}
