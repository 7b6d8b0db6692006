using Xunit.Abstractions;
using Xunit.Sdk;

namespace KvStore.RealParts;

/// <summary>Finds the test of a fact whose parts are all there.</summary>
public sealed class RealPartFactDiscoverer(IMessageSink diagnosticMessageSink) : FactDiscoverer(diagnosticMessageSink)
{
    public override IEnumerable<IXunitTestCase> Discover(
        ITestFrameworkDiscoveryOptions discoveryOptions, ITestMethod testMethod, IAttributeInfo factAttribute) =>
        MissingParts.Of(testMethod, discoveryOptions, DiagnosticMessageSink) ?? base.Discover(discoveryOptions, testMethod, factAttribute);
}

/// <summary>Finds the tests of a theory whose parts are all there.</summary>
public sealed class RealPartTheoryDiscoverer(IMessageSink diagnosticMessageSink) : TheoryDiscoverer(diagnosticMessageSink)
{
    public override IEnumerable<IXunitTestCase> Discover(
        ITestFrameworkDiscoveryOptions discoveryOptions, ITestMethod testMethod, IAttributeInfo theoryAttribute) =>
        MissingParts.Of(testMethod, discoveryOptions, DiagnosticMessageSink) ?? base.Discover(discoveryOptions, testMethod, theoryAttribute);
}
