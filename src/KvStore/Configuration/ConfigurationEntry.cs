using System.Text.Json;
using System.Text.Unicode;
using Microsoft.Extensions.Configuration;

namespace KvStore.Configuration;

/// <summary>What an entry of the namespace is in the configuration.</summary>
/// <param name="Revision">The revision of the entry.</param>
/// <param name="Values">The keys and values of its last version that could be read.</param>
internal sealed record ConfigurationEntry(long Revision, KeyValuePair<string, string?>[] Values)
{
    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    /// <summary>The key of the configuration for a key of the namespace.</summary>
    public static string PathOf(string key, KvConfigurationOptions options)
    {
        var path = key[options.Prefix.Length..];
        if (options.Prefix.Length > 0 && !options.Prefix.EndsWith(options.Separator, StringComparison.Ordinal) && path.StartsWith(options.Separator, StringComparison.Ordinal))
        {
            path = path[options.Separator.Length..];
        }

        return path.Replace(options.Separator, ConfigurationPath.KeyDelimiter, StringComparison.Ordinal);
    }

    /// <summary>Reads a value.</summary>
    /// <param name="path">The key of the configuration.</param>
    /// <param name="value">The value.</param>
    /// <param name="flattenJson">Whether objects and arrays of JSON become keys of their own.</param>
    /// <param name="values">The keys and values.</param>
    /// <returns>Null; or why the value cannot be read, without quoting it.</returns>
    public static string? Read(string path, ReadOnlyMemory<byte> value, bool flattenJson, out KeyValuePair<string, string?>[] values)
    {
        values = [];
        if (value.Span.StartsWith(ByteOrderMark))
        {
            value = value[ByteOrderMark.Length..];
        }

        if (!Utf8.IsValid(value.Span))
        {
            return "its value is not UTF-8";
        }

        if (!flattenJson || !JsonFlattening.IsObjectOrArray(value.Span))
        {
            if (path.Length == 0)
            {
                return "nothing follows the prefix, so that the value has no name; only a JSON object may be stored there";
            }

            values = [new(path, System.Text.Encoding.UTF8.GetString(value.Span))];
            return null;
        }

        try
        {
            values = [.. JsonFlattening.Flatten(path, value)];
            return null;
        }
        catch (JsonException e)
        {
            // The exception's own message may quote the value.
            return Invariant($"its value begins as JSON and is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1})");
        }
        catch (FormatException)
        {
            return "its value is JSON in which two properties have one key, because keys of the configuration are not case-sensitive";
        }
        catch (InvalidOperationException)
        {
            return "its value is JSON with a text that is not Unicode";
        }
    }
}
