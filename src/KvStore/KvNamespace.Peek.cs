using KvStore.Keys;
using KvStore.Order;
using KvStore.Rules;

namespace KvStore;

/// <content>Looking without being seen: for whoever shows what is there, and must not change it or count as a reader.</content>
public sealed partial class KvNamespace
{
    /// <summary>The clock that expirations go by.</summary>
    internal TimeProvider TimeProvider => _clock.TimeProvider;

    /// <summary>
    /// What a read would be answered, here or in a region, without being one: nothing is counted, nothing is cached, and what
    /// is cached does not stay longer for it.
    /// </summary>
    /// <param name="key">The key.</param>
    /// <param name="region">The region; null for the home of a replicated namespace.</param>
    /// <returns>The entry.</returns>
    internal KvValue Peek(string key, string? region = null)
    {
        CheckDisposed();
        if (_replicated is null)
        {
            return FindAnywhere(key);
        }

        var view = region is null ? _replicated.Home : _replicated.ViewOf(region);
        using var encoded = new EncodedKey(key, _keyBytesMax, "GET", stackalloc byte[EncodedKey.StackBytes]);
        return view.Peek(encoded.Key);
    }

    /// <summary>A page of the keys that are there, past what a region has cached of its listings.</summary>
    /// <param name="options">Which.</param>
    /// <returns>The page.</returns>
    internal KvListPage PeekKeys(KvListOptions options)
    {
        CheckDisposed();
        var asked = ListRequest.Parse(options, _limits);
        return asked.Prefix is not { } prefix ? new KvListPage([], cursor: null)
            : _replicated is null ? ListPage.Read(_store, prefix, asked.After, asked.Limit)
            : _replicated.Home.ListArrived(prefix, asked.After, asked.Limit);
    }
}
