using KvStore.Rules;

namespace KvStore;

/// <summary>What can be told of a write before it is made.</summary>
public sealed partial class KvNamespace
{
    /// <summary>Checks everything about a put but whether there is room for it and whether it comes too soon.</summary>
    /// <exception cref="ArgumentException">The key or the options are not allowed.</exception>
    /// <exception cref="KvException">The same, where the service gives a status.</exception>
    internal void CheckPut(string key, long valueBytes, KvPutOptions? options)
    {
        CheckKey(key, "PUT");
        if (options is not null)
        {
            _ = ExpirationRules.Check(options, _limits, _clock.Now, Name, key);
            _ = MetadataCodec.Encode(options.Metadata, _limits.MetadataBytesMax);
        }

        ValueLimit.Check(valueBytes, _limits.ValueBytesMax);
    }

    /// <summary>Checks a key that is to be deleted.</summary>
    /// <exception cref="ArgumentException">It is empty, <c>.</c> or <c>..</c>.</exception>
    /// <exception cref="KvException">It is too long (414) or not Unicode (400).</exception>
    internal void CheckDelete(string key) => CheckKey(key, "DELETE");

    private void CheckKey(string key, string operation)
    {
        KeyRules.CheckShape(key, _limits.KeyBytesMax, operation);
        if (!KeyRules.IsUnicode(key))
        {
            throw new KvException(400, operation, KeyRules.UnpairedSurrogate);
        }
    }
}
