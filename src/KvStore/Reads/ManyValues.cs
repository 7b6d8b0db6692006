using System.Text.Json;
using KvStore.Json;
using KvStore.Rules;

namespace KvStore.Reads;

/// <summary>The values of many keys as text or as objects.</summary>
internal static class ManyValues
{
    /// <summary>The values with the large ones read into memory.</summary>
    public static async ValueTask<IReadOnlyDictionary<string, KvValue>> LoadAsync(
        IKvNamespace kv, ValueTask<IReadOnlyDictionary<string, KvValue>> get, CancellationToken cancellationToken)
    {
        var values = await get.ConfigureAwait(false);
        if (!values.Values.Any(static value => value.IsLarge))
        {
            return values;
        }

        try
        {
            var loaded = new OrderedDictionary<string, KvValue>(values.Count, StringComparer.Ordinal);
            foreach (var (key, value) in values)
            {
                loaded.Add(key, await value.LoadAsync(cancellationToken).ConfigureAwait(false));
            }

            return loaded;
        }
        finally
        {
            foreach (var value in values.Values)
            {
                kv.DisposeIfOwned(value);
            }
        }
    }

    /// <summary>The values as texts; null for keys that do not exist.</summary>
    public static IReadOnlyDictionary<string, string?> ToTexts(IReadOnlyDictionary<string, KvValue> values) =>
        Select(values, static value => Unmarked(value).GetText());

    /// <summary>The values as objects; the default of <typeparamref name="T"/> for keys that do not exist.</summary>
    /// <exception cref="KvException">A value is not JSON, or does not fit <typeparamref name="T"/> (400).</exception>
    public static IReadOnlyDictionary<string, T?> ToObjects<T>(
        IKvNamespace kv, IReadOnlyDictionary<string, KvValue> values, Func<KvValue, T?> read)
    {
        try
        {
            return Select(values, value => read(Unmarked(value)));
        }
        catch (JsonException e)
        {
            throw new KvException(400, "GET_BULK", NotJson(kv, typeof(T), values, read), e);
        }
    }

    // The binding's message for a value that is not JSON, or KvStore's own message for JSON that does not fit a type. The binding has no
    // types.
    private static string NotJson<T>(IKvNamespace kv, Type type, IReadOnlyDictionary<string, KvValue> values, Func<KvValue, T?> read)
    {
        if (values.Values.Any(static value => value.Exists && !KvJson.IsOneValue(KvJson.Repair(Unmarked(value).GetBytes().Span))))
        {
            return BindingMessages.ValueIsNotJson;
        }

        var key = values.First(pair => pair.Value.Exists && !Fits(pair.Value)).Key;
        return $"The value of the key {VisibleKey.Quote(key)} in the namespace {VisibleKey.Quote(kv.Name)} is JSON, but not a {type}.";

        bool Fits(in KvValue value)
        {
            try
            {
                _ = read(Unmarked(value));
                return true;
            }
            catch (JsonException)
            {
                return false;
            }
        }
    }

    private static IReadOnlyDictionary<string, T?> Select<T>(IReadOnlyDictionary<string, KvValue> values, Func<KvValue, T?> read)
    {
        if (values is KeyedValues<KvValue> keyed)
        {
            return keyed.Select(value => value.Exists ? read(value) : default);
        }

        var result = new OrderedDictionary<string, T?>(values.Count);
        foreach (var (key, value) in values)
        {
            result.Add(key, value.Exists ? read(value) : default);
        }

        return result;
    }

    // The binding drops a byte order mark when it reads many keys, and keeps it when it reads one.
    private static KvValue Unmarked(in KvValue value) => value.WithoutByteOrderMark();
}
