using KvStore.Keys;
using Microsoft.AspNetCore.Builder;

namespace KvStore;

/// <summary>
/// Where sessions are kept in a namespace. The cookie and how long a session may be idle are options of the framework
/// (<see cref="SessionOptions"/>).
/// </summary>
public sealed class KvSessionOptions
{
    /// <summary>What the keys of sessions begin with in the namespace.</summary>
    public const string DefaultPrefix = "sessions/";

    /// <summary>
    /// What the keys of sessions begin with in the namespace, so that it can be shared with other adapters and with the application. Default
    /// <c>sessions/</c>; Unicode of at most 256 bytes in UTF-8.
    /// </summary>
    /// <exception cref="ArgumentException">It is not Unicode, or too long.</exception>
    public string Prefix
    {
        get;
        set
        {
            EntryKeys.Check(value, $"{nameof(KvSessionOptions)}.{nameof(Prefix)}");
            field = value;
        }
    } = DefaultPrefix;
}
