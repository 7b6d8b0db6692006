using System.Text.Json;

namespace KvStore.Definitions;

/// <summary>
/// Checks the kinds of a definition's properties. The package ignores what is of another kind, and a filter that is ignored would
/// switch a feature on for everybody.
/// </summary>
internal static class FeatureSchema
{
    /// <summary>Checks a definition.</summary>
    /// <returns>Null; or what is wrong.</returns>
    public static string? Check(JsonElement definition) =>
        Find(definition, "EnabledFor") is not null
            ? "its value is of the older schema (EnabledFor); write enabled and conditions"
            : CheckKind(definition, "conditions", JsonValueKind.Object)
                ?? CheckKind(definition, "allocation", JsonValueKind.Object)
                ?? CheckKind(definition, "telemetry", JsonValueKind.Object)
                ?? CheckNamed(definition, "variants")
                ?? (Find(definition, "conditions") is { ValueKind: JsonValueKind.Object } conditions ? CheckNamed(conditions, "client_filters") : null)
                ?? (Find(definition, "allocation") is { ValueKind: JsonValueKind.Object } allocation ? CheckAllocation(allocation) : null);

    private static string? CheckAllocation(JsonElement allocation) =>
        CheckKind(allocation, "user", JsonValueKind.Array) ?? CheckKind(allocation, "group", JsonValueKind.Array) ?? CheckKind(allocation, "percentile", JsonValueKind.Array);

    // Filters and variants are objects with a name.
    private static string? CheckNamed(JsonElement parent, string property)
    {
        if (CheckKind(parent, property, JsonValueKind.Array) is { } problem)
        {
            return problem;
        }

        return Find(parent, property) is { ValueKind: JsonValueKind.Array } items
            && items.EnumerateArray().Any(static item =>
                item.ValueKind != JsonValueKind.Object || Find(item, "name") is not { ValueKind: JsonValueKind.String } name || name.GetString()!.Length == 0)
            ? $"an item of {property} is not an object with a name"
            : null;
    }

    private static string? CheckKind(JsonElement parent, string property, JsonValueKind kind) =>
        Find(parent, property) is { } value && value.ValueKind != kind && value.ValueKind != JsonValueKind.Null
            ? $"{property} is not a JSON {(kind == JsonValueKind.Object ? "object" : "array")}"
            : null;

    private static JsonElement? Find(JsonElement parent, string name)
    {
        foreach (var property in parent.EnumerateObject())
        {
            if (property.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return property.Value;
            }
        }

        return null;
    }
}
