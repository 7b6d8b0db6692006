using System.Buffers;
using KvStore.Rules;

namespace KvStore.Hybrid;

/// <content>Which keys and tags are cached. The others are errors in the log.</content>
internal sealed partial class KvHybridCache
{
    private static readonly SearchValues<char> s_controlCharacters = SearchValues.Create([.. Enumerable.Range(0, ' ').Select(static c => (char)c)]);

    private bool IsCacheable(string key) =>
        !string.IsNullOrWhiteSpace(key) && key.Length <= _keyLengthMax && !key.AsSpan().ContainsAny(s_controlCharacters) && TagSet.IsUnicode(key);

    private bool AreValid(string[] tags)
    {
        foreach (var tag in tags)
        {
            if (!TagSet.IsUnicode(tag))
            {
                _logger.TagIsNotUnicode(VisibleKey.Quote(tag));
                return false;
            }
        }

        return true;
    }

    private bool IsValid(string key)
    {
        if (IsCacheable(key))
        {
            return true;
        }

        if (string.IsNullOrWhiteSpace(key))
        {
            _logger.KeyIsBlank();
        }
        else if (key.Length > _keyLengthMax)
        {
            _logger.KeyTooLong(key.Length, _keyLengthMax);
        }
        else if (!TagSet.IsUnicode(key))
        {
            _logger.KeyIsNotUnicode(VisibleKey.Quote(key));
        }
        else
        {
            _logger.KeyHasControlCharacter(VisibleKey.Quote(key));
        }

        return false;
    }
}
