using System.ComponentModel;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace KvStore.RealParts;

/// <summary>A skipped test whose name is the reason, because runners print names and few of them print reasons.</summary>
public sealed class MissingPartTestCase : XunitTestCase
{
    private string _reason = "";

    [EditorBrowsable(EditorBrowsableState.Never)]
    [Obsolete("Called when a test case is deserialized.")]
    public MissingPartTestCase()
    {
    }

    public MissingPartTestCase(
        IMessageSink diagnosticMessageSink, TestMethodDisplay display, TestMethodDisplayOptions options, ITestMethod method, string reason)
        : base(diagnosticMessageSink, display, options, method) => _reason = reason;

    public override void Serialize(IXunitSerializationInfo data)
    {
        base.Serialize(data);
        data.AddValue(nameof(_reason), _reason);
    }

    public override void Deserialize(IXunitSerializationInfo data)
    {
        // First, because the base class initializes.
        _reason = data.GetValue<string>(nameof(_reason));
        base.Deserialize(data);
    }

    protected override void Initialize()
    {
        base.Initialize();
        SkipReason = _reason;
        DisplayName = _reason;
    }

    protected override string GetUniqueID() => $"{base.GetUniqueID()} {_reason}";
}
