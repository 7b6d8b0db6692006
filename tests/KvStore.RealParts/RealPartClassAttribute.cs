using Xunit.Abstractions;
using Xunit.Sdk;

namespace KvStore.RealParts;

/// <summary>
/// All tests of the class need real parts, those that it inherits as well. Where a part is missing, they are not there; a
/// <see cref="RealPartFactAttribute"/> of the assembly says so. Needs <see cref="RealPartTestFramework"/>.
/// </summary>
/// <param name="parts">The parts.</param>
[AttributeUsage(AttributeTargets.Class)]
public sealed class RealPartClassAttribute(params RealPart[] parts) : Attribute
{
    public IReadOnlyList<RealPart> Parts => parts;
}

/// <summary>Finds the tests of classes whose parts are all there. An assembly names it in a <c>TestFrameworkAttribute</c>.</summary>
public sealed class RealPartTestFramework(IMessageSink messageSink) : XunitTestFramework(messageSink)
{
    protected override ITestFrameworkDiscoverer CreateDiscoverer(IAssemblyInfo assemblyInfo) =>
        new Discoverer(assemblyInfo, SourceInformationProvider, DiagnosticMessageSink);

    private sealed class Discoverer(IAssemblyInfo assembly, ISourceInformationProvider sources, IMessageSink sink)
        : XunitTestFrameworkDiscoverer(assembly, sources, sink)
    {
        protected override bool FindTestsForType(
            ITestClass testClass, bool includeSourceInformation, IMessageBus messageBus, ITestFrameworkDiscoveryOptions discoveryOptions) =>
            testClass.Class.ToRuntimeType().GetCustomAttributes(inherit: true).OfType<RealPartClassAttribute>()
                .SelectMany(static needed => needed.Parts).Any(static part => Installed.WhatIsMissing(part) is not null)
            || base.FindTestsForType(testClass, includeSourceInformation, messageBus, discoveryOptions);
    }
}
