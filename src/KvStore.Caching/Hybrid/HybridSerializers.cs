using System.Collections.Concurrent;
using Microsoft.Extensions.Caching.Hybrid;
using Microsoft.Extensions.DependencyInjection;

namespace KvStore.Hybrid;

/// <summary>
/// The serializers of types: the registered <see cref="IHybridCacheSerializer{T}"/>, or of the registered factories the last that has one, or
/// that of the cache: text as UTF-8, bytes as they are, and System.Text.Json.
/// </summary>
/// <remarks>Thread safety: all members, from any thread.</remarks>
internal sealed class HybridSerializers(IServiceProvider services)
{
    private readonly ConcurrentDictionary<Type, object> _serializers = new();
    private readonly IHybridCacheSerializerFactory[] _factories = [.. services.GetServices<IHybridCacheSerializerFactory>().Reverse()];

    /// <summary>The serializer of a type.</summary>
    /// <typeparam name="T">The type.</typeparam>
    public IHybridCacheSerializer<T> Of<T>() =>
        (IHybridCacheSerializer<T>)(_serializers.TryGetValue(typeof(T), out var known) ? known : _serializers.GetOrAdd(typeof(T), Resolve<T>()));

    private IHybridCacheSerializer<T> Resolve<T>()
    {
        if (services.GetService<IHybridCacheSerializer<T>>() is { } registered)
        {
            return registered;
        }

        foreach (var factory in _factories)
        {
            if (factory.TryCreateSerializer<T>(out var made))
            {
                return made;
            }
        }

        return typeof(T) == typeof(string) ? (IHybridCacheSerializer<T>)(object)new TextSerializer()
            : typeof(T) == typeof(byte[]) ? (IHybridCacheSerializer<T>)(object)new BytesSerializer()
            : JsonValueSerializer<T>.From(services);
    }
}
