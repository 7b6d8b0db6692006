using System.Text.Json.Serialization;

namespace KvStore.Generators.Tests;

/// <summary>A value of these tests.</summary>
public sealed record Flag(bool Enabled, string[] Groups);

/// <summary>What is stored beside it.</summary>
public sealed record FlagInfo(string By, int Version);

/// <summary>The kinds of a report: two names of one value among them.</summary>
public enum ReportKind
{
    Daily = 1,
    Weekly = 7,
#pragma warning disable CA1069 // Two names of one value are what is tested.
    EverySevenDays = 7,
#pragma warning restore CA1069
}

/// <summary>Reads and writes them without reflection.</summary>
[JsonSourceGenerationOptions(System.Text.Json.JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(Flag))]
[JsonSerializable(typeof(FlagInfo))]
internal sealed partial class TestJson : JsonSerializerContext;
