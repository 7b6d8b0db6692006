using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using KvStore.Configuration;
using Microsoft.Extensions.Configuration;
using Microsoft.FeatureManagement;

namespace KvStore.Definitions;

/// <summary>Makes the definition of a feature of an entry: of its value in the Microsoft schema, and of <c>enabled</c> in its metadata.</summary>
/// <remarks>
/// The package's own provider reads the definition from a configuration with this feature alone. So the schema is understood as it
/// understands it, and the parameters of filters are of its own type, whose bound settings the feature manager caches.
/// </remarks>
internal static class FeatureDefinitionReader
{
    private const string Flag = "feature_management:feature_flags:0";
    private const string Id = "id";
    private const string Enabled = "enabled";

    // The package refuses names with a colon, which are names like any other here. The definition gets its name afterwards.
    private const string IdWhileReading = "feature";

    private static readonly JsonDocumentOptions s_options = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <summary>Reads a definition.</summary>
    /// <param name="name">The name of the feature, where the value has no <c>id</c>.</param>
    /// <param name="value">The value: empty, <c>true</c>, <c>false</c>, or a JSON object.</param>
    /// <param name="metadata">The metadata of the entry.</param>
    /// <param name="definition">The definition.</param>
    /// <returns>Null; or why it cannot be read, without quoting it.</returns>
    public static string? Read(string name, ReadOnlyMemory<byte> value, KvMetadata metadata, out FeatureDefinition? definition)
    {
        definition = null;
        try
        {
            var settings = SettingsOf(value, out var problem);
            if (problem is not null || !TryReadEnabled(metadata, out var isEnabled, out problem))
            {
                return problem;
            }

            if (isEnabled is not null)
            {
                settings[Enabled] = isEnabled.Value ? bool.TrueString : bool.FalseString;
            }

            var id = settings.GetValueOrDefault(Id) is { Length: > 0 } given ? given : name;
            if (id.Length == 0)
            {
                return "nothing follows the prefix, and its value has no id";
            }

            var read = Read(settings);
            if (read.Allocation?.Percentile?.All(IsRange) == false)
            {
                return "from and to of a percentile are not from 0 to 100, or from is above to";
            }

            definition = read;
            definition.Name = id;
            return null;
        }
        catch (JsonException e)
        {
            // The exception's own message may quote the value.
            return Invariant($"its value is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1})");
        }
        catch (FormatException)
        {
            return "its value is JSON in which two properties have one name; names are not case-sensitive";
        }
        catch (InvalidOperationException)
        {
            return "its value is JSON with a text that is not Unicode";
        }
        catch (FeatureManagementException)
        {
            return "a setting has a value that is not allowed: enabled is true or false, requirement_type is Any or All, status_override is None, Enabled or Disabled, and from and to are numbers";
        }
    }

    // The package finds such a range only when it allocates a variant, and throws into the request that asks.
    private static bool IsRange(PercentileAllocation range) => range.From >= 0 && range.From <= range.To && range.To <= 100;

    private static Dictionary<string, string?> SettingsOf(ReadOnlyMemory<byte> value, out string? problem)
    {
        problem = null;
        if (value.Span.Trim(" \t\r\n"u8).IsEmpty)
        {
            return new(StringComparer.OrdinalIgnoreCase);
        }

        using var document = JsonDocument.Parse(value, s_options);
        switch (document.RootElement.ValueKind)
        {
            case JsonValueKind.True or JsonValueKind.False:
                return new(StringComparer.OrdinalIgnoreCase) { [Enabled] = document.RootElement.ToString() };
            case JsonValueKind.Object:
                problem = FeatureSchema.Check(document.RootElement);
                return JsonFlattening.Flatten("", value);
            default:
                problem = "its value is not a JSON object with the definition, true, false or empty";
                return [];
        }
    }

    private static bool TryReadEnabled(KvMetadata metadata, out bool? isEnabled, [NotNullWhen(false)] out string? problem)
    {
        (isEnabled, problem) = (null, null);
        if (metadata.IsNull)
        {
            return true;
        }

        using var document = JsonDocument.Parse(metadata.Utf8Json);
        if (document.RootElement.ValueKind != JsonValueKind.Object)
        {
            return true;
        }

        foreach (var property in document.RootElement.EnumerateObject())
        {
            if (!property.Name.Equals(Enabled, StringComparison.OrdinalIgnoreCase))
            {
                continue;
            }

            if (property.Value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
            {
                problem = "enabled in its metadata is neither true nor false";
                return false;
            }

            isEnabled = property.Value.GetBoolean();
        }

        return true;
    }

    private static FeatureDefinition Read(Dictionary<string, string?> settings)
    {
        settings[Id] = IdWhileReading;
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(static setting => new KeyValuePair<string, string?>($"{Flag}:{setting.Key}", setting.Value)))
            .Build();

        // The package reads numbers in the culture of the thread, and some only when they are enumerated.
        var culture = CultureInfo.CurrentCulture;
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        try
        {
            using var provider = new ConfigurationFeatureDefinitionProvider(configuration);
            var reading = provider.GetFeatureDefinitionAsync(IdWhileReading);
            var definition = reading.GetAwaiter().GetResult();
            if (definition.Allocation is { } allocation)
            {
                allocation.User = [.. allocation.User.Select(static user => new UserAllocation { Variant = user.Variant, Users = user.Users?.ToArray() ?? [] })];
                allocation.Group = [.. allocation.Group.Select(static group => new GroupAllocation { Variant = group.Variant, Groups = group.Groups?.ToArray() ?? [] })];
                allocation.Percentile = [.. allocation.Percentile];
            }

            return definition;
        }
        finally
        {
            CultureInfo.CurrentCulture = culture;
        }
    }
}
