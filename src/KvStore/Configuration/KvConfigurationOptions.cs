using System.Text;
using KvStore.Rules;

namespace KvStore;

/// <summary>How the entries of a namespace become configuration: see <c>configuration.AddKvNamespace</c>.</summary>
public sealed class KvConfigurationOptions
{
    // As for the prefixes of all adapters, so that there is room for the rest of a key.
    private const int PrefixBytesMax = 256;

    /// <summary>
    /// What the keys begin with that are read; empty for all keys of the namespace. It is not a part of the configuration's keys: with
    /// <c>site/</c>, the key <c>site/Shop:Title</c> is <c>Shop:Title</c>. When the prefix does not end in the separator, a separator that
    /// follows it is left out too. At most 256 bytes in UTF-8.
    /// </summary>
    public string Prefix { get; set; } = "";

    /// <summary>
    /// What separates the parts of a key, for example <c>__</c> or <c>/</c>; it becomes <c>:</c>. Default <c>:</c>. A <c>:</c> in a key
    /// always separates, because the configuration knows no other separator.
    /// </summary>
    public string Separator { get; set; } = ":";

    /// <summary>
    /// Whether a value that begins with <c>{</c> or <c>[</c> is JSON whose properties and items become keys of their own, in the way of
    /// <c>appsettings.json</c>. Default true. Every other value is text, as it is.
    /// </summary>
    public bool FlattenJson { get; set; } = true;

    /// <summary>Whether a change of the namespace reloads the configuration. Default true.</summary>
    public bool ReloadOnChange { get; set; } = true;

    /// <summary>
    /// Whether the application starts without these values when the namespace cannot be opened; the failure is logged. Default false:
    /// <c>AddKvNamespace</c> throws. Options that are wrong always throw.
    /// </summary>
    public bool Optional { get; set; }

    /// <summary>Checks the options, and returns a copy that the caller cannot change.</summary>
    /// <exception cref="ArgumentException">An option is not valid; the message names it.</exception>
    internal KvConfigurationOptions Validated()
    {
        if (Prefix is null)
        {
            throw new ArgumentException($"{nameof(KvConfigurationOptions)}.{nameof(Prefix)} is null. It must be the beginning of the keys, or empty for all keys.", nameof(Prefix));
        }

        if (!KeyRules.IsUnicode(Prefix))
        {
            throw new ArgumentException($"{nameof(KvConfigurationOptions)}.{nameof(Prefix)} is {VisibleKey.Quote(Prefix)}, which has an unpaired surrogate. It must be Unicode, as every key is.", nameof(Prefix));
        }

        if (Encoding.UTF8.GetByteCount(Prefix) is > PrefixBytesMax and var bytes)
        {
            throw new ArgumentException(
                Invariant($"{nameof(KvConfigurationOptions)}.{nameof(Prefix)} is {VisibleKey.Quote(Prefix)}, which has {bytes} bytes in UTF-8. It may have at most {PrefixBytesMax}."), nameof(Prefix));
        }

        return string.IsNullOrEmpty(Separator)
            ? throw new ArgumentException($"{nameof(KvConfigurationOptions)}.{nameof(Separator)} is empty. It must have at least one character, for example \":\", \"__\" or \"/\".", nameof(Separator))
            : (KvConfigurationOptions)MemberwiseClone();
    }
}
