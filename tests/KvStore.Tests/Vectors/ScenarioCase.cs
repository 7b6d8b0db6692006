using Xunit.Abstractions;

namespace KvStore.Tests.Vectors;

/// <summary>A scenario as the argument of a test case: named in full, and found again by its id in another process.</summary>
public sealed class ScenarioCase : IXunitSerializable
{
    private string _id = "";

    public ScenarioCase()
    {
    }

    public ScenarioCase(string id) => _id = id;

    public Scenario Scenario => Scenario.Named(_id);

    public void Serialize(IXunitSerializationInfo info) => info.AddValue(nameof(_id), _id);

    public void Deserialize(IXunitSerializationInfo info) => _id = info.GetValue<string>(nameof(_id));

    public override string ToString() => $"{_id} {Scenario.Title}";
}
