using Xunit;
using Xunit.Sdk;

namespace KvStore.RealParts;

/// <summary>
/// A test that needs real parts. Where a part is missing, the tests that need it are not there; one skipped test for each
/// missing part of an assembly says what is missing, how many tests need it and how to get it. In CI, where the variable CI is
/// <c>true</c>, that one test fails.
/// </summary>
/// <param name="parts">The parts.</param>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer("KvStore.RealParts.RealPartFactDiscoverer", "KvStore.RealParts")]
public sealed class RealPartFactAttribute(params RealPart[] parts) : FactAttribute, IRealPartAttribute
{
    public IReadOnlyList<RealPart> Parts => parts;
}

/// <summary>A theory that needs real parts; see <see cref="RealPartFactAttribute"/>.</summary>
/// <param name="parts">The parts.</param>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer("KvStore.RealParts.RealPartTheoryDiscoverer", "KvStore.RealParts")]
public sealed class RealPartTheoryAttribute(params RealPart[] parts) : TheoryAttribute, IRealPartAttribute
{
    public IReadOnlyList<RealPart> Parts => parts;
}

/// <summary>What both attributes say.</summary>
internal interface IRealPartAttribute
{
    IReadOnlyList<RealPart> Parts { get; }
}
