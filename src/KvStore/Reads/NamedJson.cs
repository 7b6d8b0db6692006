using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using KvStore.Rules;

namespace KvStore.Reads;

/// <summary>Reads a value as JSON; an exception names the operation, the key and the namespace.</summary>
internal static class NamedJson
{
    /// <summary>Reads by reflection, with the defaults.</summary>
    /// <exception cref="JsonException">The value is not JSON, or does not fit <typeparamref name="T"/>.</exception>
    [RequiresUnreferencedCode("Reflects over T.")]
    [RequiresDynamicCode("Reflects over T.")]
    public static T? Read<T>(IKvNamespace kv, string key, in KvValue value)
    {
        try
        {
            return value.GetJson<T>();
        }
        catch (JsonException e)
        {
            throw NamedEntry.WithNames(e, "GET", kv.Name, key);
        }
        catch (NotSupportedException e)
        {
            // Also of a value: one that does not say which derived type it is.
            throw new NotSupportedException($"{NamedEntry.Of("GET", kv.Name, key)}: {e.Message}");
        }
    }

    /// <summary>Reads by generated code.</summary>
    /// <exception cref="JsonException">The value is not JSON, or does not fit <typeparamref name="T"/>.</exception>
    public static T? Read<T>(IKvNamespace kv, string key, in KvValue value, JsonTypeInfo<T> jsonTypeInfo)
    {
        try
        {
            return value.GetJson(jsonTypeInfo);
        }
        catch (JsonException e)
        {
            throw NamedEntry.WithNames(e, "GET", kv.Name, key);
        }
        catch (NotSupportedException e)
        {
            // Also of a value: one that does not say which derived type it is.
            throw new NotSupportedException($"{NamedEntry.Of("GET", kv.Name, key)}: {e.Message}");
        }
    }
}
