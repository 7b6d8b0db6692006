using System.Buffers;
using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.Hybrid;

/// <summary>A value as JSON, by the options that Microsoft's HybridCache uses.</summary>
/// <remarks>
/// The options are the keyed service <see cref="JsonSerializerOptions"/> of the key <c>typeof(IHybridCacheSerializer&lt;T&gt;)</c>, or of the key
/// <c>typeof(IHybridCacheSerializer&lt;&gt;)</c>, or the defaults. By the defaults, a type that has fields and no properties, as a tuple, is written with its fields.
/// </remarks>
/// <typeparam name="T">The type of the value.</typeparam>
internal sealed class JsonValueSerializer<T> : IHybridCacheSerializer<T>
{
    private readonly JsonTypeInfo<T> _type;

    private JsonValueSerializer(JsonTypeInfo<T> type) => _type = type;

    /// <summary>The serializer with the options that are registered.</summary>
    /// <exception cref="NotSupportedException">The options know no such type, or there are none in an application without reflection.</exception>
    public static JsonValueSerializer<T> From(IServiceProvider services)
    {
        var keyed = services as IKeyedServiceProvider;
        var options = (JsonSerializerOptions?)keyed?.GetKeyedService(typeof(JsonSerializerOptions), typeof(IHybridCacheSerializer<T>))
            ?? (JsonSerializerOptions?)keyed?.GetKeyedService(typeof(JsonSerializerOptions), typeof(IHybridCacheSerializer<>))
            ?? DefaultJson.OptionsOf(typeof(T));
        DefaultJson.Complete(options);
        return new JsonValueSerializer<T>((JsonTypeInfo<T>)options.GetTypeInfo(typeof(T)));
    }

    /// <summary>Reads a value from contiguous bytes.</summary>
    public T Deserialize(ReadOnlySpan<byte> source) => JsonSerializer.Deserialize(source, _type)!;

    public T Deserialize(ReadOnlySequence<byte> source)
    {
        if (source.IsSingleSegment)
        {
            return Deserialize(source.FirstSpan);
        }

        var reader = new Utf8JsonReader(source);
        return JsonSerializer.Deserialize(ref reader, _type)!;
    }

    public void Serialize(T value, IBufferWriter<byte> target)
    {
        // Taken while it is in use: a converter may serialize another value.
        var writer = JsonWriters.Take(target);
        try
        {
            JsonSerializer.Serialize(writer, value, _type);
        }
        finally
        {
            JsonWriters.Return(writer);
        }
    }
}

/// <summary>The options for JSON where none are registered.</summary>
internal static class DefaultJson
{
    private static readonly Lazy<JsonSerializerOptions> s_withFields = new(MakeWithFields);

    /// <summary>The options for a type.</summary>
    /// <exception cref="NotSupportedException">The application is compiled without reflection.</exception>
    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = "Without reflection an exception says what to register.")]
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = "Without reflection an exception says what to register.")]
    public static JsonSerializerOptions OptionsOf(Type type)
    {
        if (!JsonSerializer.IsReflectionEnabledByDefault)
        {
            throw new NotSupportedException(
                $"The type {type} cannot be cached as JSON, because the application is compiled without reflection. Register an IHybridCacheSerializer<T> for it, or the options with generated code: services.AddKeyedSingleton<JsonSerializerOptions>(typeof(IHybridCacheSerializer<>), options).");
        }

        return HasFieldsOnly(type, []) ? s_withFields.Value : JsonSerializerOptions.Default;
    }

    /// <summary>Gives options without generated code what they need, as their first use by <see cref="JsonSerializer"/> would.</summary>
    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = "Only with reflection.")]
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = "Only with reflection.")]
    public static void Complete(JsonSerializerOptions options)
    {
        if (JsonSerializer.IsReflectionEnabledByDefault)
        {
            options.MakeReadOnly(populateMissingResolver: true);
        }
    }

    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = "Called only with reflection.")]
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = "Called only with reflection.")]
    private static JsonSerializerOptions MakeWithFields() => new(JsonSerializerOptions.Default) { IncludeFields = true };

    // Whether a type, the elements of a collection, or the type of a property has public fields and no properties.
    [UnconditionalSuppressMessage("Trimming", "IL2070", Justification = "Called only with reflection.")]
    [UnconditionalSuppressMessage("Trimming", "IL2075", Justification = "Called only with reflection.")]
    private static bool HasFieldsOnly(Type type, HashSet<Type> seen)
    {
        if (type.IsPrimitive || type == typeof(string) || !seen.Add(type))
        {
            return false;
        }

        if (typeof(IEnumerable).IsAssignableFrom(type))
        {
            return type.GetInterfaces().Append(type)
                .Where(static i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IEnumerable<>))
                .Any(i => HasFieldsOnly(i.GetGenericArguments()[0], seen));
        }

        var properties = type.GetProperties(BindingFlags.Public | BindingFlags.Instance);
        return properties.Length == 0
            ? type.GetFields(BindingFlags.Public | BindingFlags.Instance).Length > 0
            : properties.Any(property => HasFieldsOnly(property.PropertyType, seen));
    }
}
