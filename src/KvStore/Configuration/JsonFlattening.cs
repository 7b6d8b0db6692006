using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Configuration;

namespace KvStore.Configuration;

/// <summary>
/// Makes keys of the properties and items of a JSON value, with the same result as the framework's provider for JSON files: comments and
/// trailing commas are allowed, an object without properties is null, an array without items is empty.
/// </summary>
internal static class JsonFlattening
{
    private static readonly JsonDocumentOptions s_options = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <summary>Whether a value is JSON with keys of its own.</summary>
    public static bool IsObjectOrArray(ReadOnlySpan<byte> value)
    {
        var start = value.TrimStart(" \t\r\n"u8);
        return start.Length > 0 && start[0] is (byte)'{' or (byte)'[';
    }

    /// <summary>Returns the keys and values of a JSON value.</summary>
    /// <param name="path">The key of the value; empty to begin with its properties.</param>
    /// <param name="json">The value.</param>
    /// <exception cref="JsonException">It is no JSON.</exception>
    /// <exception cref="FormatException">Two of its properties have one key.</exception>
    public static Dictionary<string, string?> Flatten(string path, ReadOnlyMemory<byte> json)
    {
        using var document = JsonDocument.Parse(json, s_options);
        var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        Add(values, path, document.RootElement, isRoot: path.Length == 0);
        return values;
    }

    // Recursion ends, because the reader of JSON refuses values that are more than 64 levels deep.
    private static void Add(Dictionary<string, string?> values, string path, JsonElement element, bool isRoot)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                AddProperties(values, path, element, isRoot);
                break;
            case JsonValueKind.Array:
                AddItems(values, path, element, isRoot);
                break;
            default:
                if (!values.TryAdd(path, element.ValueKind == JsonValueKind.Null ? null : element.ToString()))
                {
                    throw new FormatException("Two properties have one key.");
                }

                break;
        }
    }

    private static void AddProperties(Dictionary<string, string?> values, string path, JsonElement element, bool isRoot)
    {
        var isEmpty = true;
        foreach (var property in element.EnumerateObject())
        {
            isEmpty = false;
            Add(values, isRoot ? property.Name : ConfigurationPath.Combine(path, property.Name), property.Value, isRoot: false);
        }

        if (isEmpty && !isRoot)
        {
            values[path] = null;
        }
    }

    private static void AddItems(Dictionary<string, string?> values, string path, JsonElement element, bool isRoot)
    {
        var index = 0;
        foreach (var item in element.EnumerateArray())
        {
            var name = index.ToString(CultureInfo.InvariantCulture);
            Add(values, isRoot ? name : ConfigurationPath.Combine(path, name), item, isRoot: false);
            index++;
        }

        if (index == 0 && !isRoot)
        {
            values[path] = "";
        }
    }
}
