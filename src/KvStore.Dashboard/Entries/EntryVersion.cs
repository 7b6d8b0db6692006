using System.Globalization;

namespace KvStore.Dashboard.Entries;

/// <summary>
/// The version of an entry that a form shows, and changes that are made only to that version, so that nobody's write is overwritten
/// unseen.
/// </summary>
/// <remarks>
/// The namespace checks the version when it commits the change. One that knows no revisions is compared by content before the change; a
/// write that comes in between is overwritten there.
/// </remarks>
internal static class EntryVersion
{
    /// <summary>The stamp of no entry.</summary>
    public const string Absent = EntryStamp.Absent;

    /// <summary>The text that a form holds for a version.</summary>
    public static ValueTask<string> StampOfAsync(KvValue value, CancellationToken cancellationToken) => value.Revision > 0
        ? new(value.Revision.ToString(CultureInfo.InvariantCulture))
        : EntryStamp.OfAsync(value, cancellationToken);

    /// <summary>Puts a value in place of a version.</summary>
    /// <returns>False when the entry is another version by now; nothing has changed then.</returns>
    public static async ValueTask<bool> TryPutAsync(
        IKvNamespace kv, string key, KvContent content, KvValue version, KvPutOptions options, CancellationToken cancellationToken)
    {
        if (ConditionOf(kv, version) is not { } condition)
        {
            await kv.PutAsync(key, content, options, cancellationToken).ConfigureAwait(false);
            return true;
        }

        var result = await ((IKvExtendedNamespace)kv).TryPutAsync(key, content, condition, options, cancellationToken).ConfigureAwait(false);
        return result.Succeeded;
    }

    /// <summary>Deletes a version.</summary>
    /// <returns>False when the entry is another version by now; nothing has changed then.</returns>
    public static async ValueTask<bool> TryDeleteAsync(IKvNamespace kv, string key, KvValue version, CancellationToken cancellationToken)
    {
        if (ConditionOf(kv, version) is not { } condition)
        {
            await kv.DeleteAsync(key, cancellationToken).ConfigureAwait(false);
            return true;
        }

        var result = await ((IKvExtendedNamespace)kv).TryDeleteAsync(key, condition, cancellationToken).ConfigureAwait(false);
        return result.Succeeded;
    }

    private static KvCondition? ConditionOf(IKvNamespace kv, in KvValue version) =>
        kv is IKvExtendedNamespace && (version.Revision > 0 || !version.Exists) ? KvCondition.Revision(version.Revision) : null;
}
