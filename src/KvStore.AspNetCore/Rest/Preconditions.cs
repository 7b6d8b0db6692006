using System.Globalization;
using KvStore.Http;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace KvStore.Rest;

/// <summary>
/// The headers <c>If-Match</c> and <c>If-None-Match</c> of a request. Source: RFC 9110, 13.1.1, 13.1.2 and 13.2.2.
/// </summary>
/// <remarks>
/// The tag of an entry is its revision, which is strong: of two answers with one tag every byte is the same. An entry of a source that
/// knows no revisions has none.
/// </remarks>
internal readonly struct Preconditions
{
    private readonly IList<EntityTagHeaderValue>? _match;
    private readonly IList<EntityTagHeaderValue>? _noneMatch;

    private Preconditions(IList<EntityTagHeaderValue>? match, IList<EntityTagHeaderValue>? noneMatch)
    {
        _match = match;
        _noneMatch = noneMatch;
    }

    /// <summary>Whether there are none.</summary>
    public bool IsEmpty => _match is null && _noneMatch is null;

    /// <summary>Reads the headers.</summary>
    /// <exception cref="RefusedException">A header is no list of entity tags (400).</exception>
    public static Preconditions Read(HttpRequest request) =>
        new(Parse(request.Headers.IfMatch, HeaderNames.IfMatch), Parse(request.Headers.IfNoneMatch, HeaderNames.IfNoneMatch));

    /// <summary>Refuses a request that has one of the headers, where no condition is checked.</summary>
    /// <exception cref="RefusedException">It has one (400).</exception>
    public static void Refuse(HttpRequest request)
    {
        foreach (var name in (ReadOnlySpan<string>)[HeaderNames.IfMatch, HeaderNames.IfNoneMatch])
        {
            if (request.Headers.ContainsKey(name))
            {
                throw new RefusedException(Failure.Malformed(
                    $"The header {name} has no meaning here: only a get, put or delete of one value checks a condition. Nothing was changed."));
            }
        }
    }

    /// <summary>The tag of an entry.</summary>
    public static string TagOf(long revision) => string.Create(CultureInfo.InvariantCulture, $"\"{revision}\"");

    /// <summary>The condition of a put or delete; null for none.</summary>
    /// <exception cref="RefusedException">It does not hold (412), or the namespace knows no revisions (400).</exception>
    public ValueTask<KvCondition?> ToConditionAsync(IKvNamespace kv, string key, CancellationToken cancellationToken)
    {
        if (IsEmpty)
        {
            return default;
        }

        if (kv is not IKvExtendedNamespace extended)
        {
            throw new RefusedException(Failure.Malformed("This namespace knows no revisions; it takes neither If-Match nor If-None-Match."));
        }

        // The common ones need no read.
        return _noneMatch is null && IsAny(_match!) ? new(KvCondition.Present)
            : _noneMatch is null && _match!.Count == 1 ? new(RevisionOf(_match[0]) is { } revision ? KvCondition.Revision(revision) : throw Failed())
            : _match is null && IsAny(_noneMatch!) ? new(KvCondition.Absent)
            : EvaluateAsync(extended, key, cancellationToken);
    }

    /// <summary>Whether a get of an entry that exists is answered with 304.</summary>
    /// <exception cref="RefusedException"><c>If-Match</c> does not hold (412).</exception>
    public bool IsNotModified(long revision)
    {
        if (_match is not null && !Matches(_match, revision, isStrong: true))
        {
            throw Failed();
        }

        return _noneMatch is not null && Matches(_noneMatch, revision, isStrong: false);
    }

    private static RefusedException Failed() => new(Failure.PreconditionFailed);

    // Evaluated against what is there now; the write is made if that is still there then. A write that came between makes it fail, also
    // where the new entry would have met the condition: the client reads again, and knows better.
    private async ValueTask<KvCondition?> EvaluateAsync(IKvExtendedNamespace kv, string key, CancellationToken cancellationToken)
    {
        var value = await kv.GetAsync(key, options: null, cancellationToken).ConfigureAwait(false);
        ValueLeases.Release(kv, value);
        return (_match is null || Matches(_match, value.Revision, isStrong: true)) && (_noneMatch is null || !Matches(_noneMatch, value.Revision, isStrong: false))
            ? KvCondition.Revision(value.Revision)
            : throw Failed();
    }

    // Revision 0: no entry, or one without a tag.
    private static bool Matches(IList<EntityTagHeaderValue> tags, long revision, bool isStrong)
    {
        if (revision == 0)
        {
            return false;
        }

        if (IsAny(tags))
        {
            return true;
        }

        var own = TagOf(revision);
        foreach (var tag in tags)
        {
            if (tag.Tag == own && !(isStrong && tag.IsWeak))
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsAny(IList<EntityTagHeaderValue> tags) => tags is [{ } only] && only.Equals(EntityTagHeaderValue.Any);

    // Null for a tag that no entry has here.
    private static long? RevisionOf(EntityTagHeaderValue tag) =>
        !tag.IsWeak
        && long.TryParse(tag.Tag.AsSpan().Trim('"'), NumberStyles.None, CultureInfo.InvariantCulture, out var revision)
        && revision > 0
        && tag.Tag == TagOf(revision)
            ? revision
            : null;

    private static IList<EntityTagHeaderValue>? Parse(StringValues header, string name)
    {
        if (header.Count == 0)
        {
            return null;
        }

        return EntityTagHeaderValue.TryParseStrictList(header, out var tags) && tags.Count > 0 && (tags.Count == 1 || !tags.Contains(EntityTagHeaderValue.Any))
            ? tags
            : throw new RefusedException(Failure.Malformed($"The header {name} is * or a list of entity tags, such as \"123\"."));
    }
}
