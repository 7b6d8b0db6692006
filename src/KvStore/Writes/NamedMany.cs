using KvStore.Rules;

namespace KvStore.Writes;

/// <summary>How the failures of a call with many keys say which of them failed, and how it stands with the others.</summary>
internal static class NamedMany
{
    /// <summary>An exception of the same kind that names the entry. Any that is not about one entry stays as it is.</summary>
    /// <param name="exception">The exception.</param>
    /// <param name="entry">The number of the entry, counted from 0.</param>
    /// <param name="key">Its key; null where there is none.</param>
    /// <param name="standing">How it stands with the others, as a sentence.</param>
    public static Exception WithEntry(Exception exception, int entry, string? key, string standing)
    {
        var which = key is null ? Invariant($"Entry {entry}") : Invariant($"Entry {entry}, the key {VisibleKey.Quote(key)}");
        return exception switch
        {
            KvException e => new KvException(e.StatusCode, e.Operation, $"{which}: {e.Reason} {standing}", e.InnerException) { ParamName = e.ParamName },
            KvArgumentException e => new KvArgumentException($"{which}: {e.Reason} {standing}", e.ParamName!),

            // Its message names the key already, and the namespace.
            _ when exception.GetType() == typeof(KvPersistenceException) =>
                new KvPersistenceException(Invariant($"Entry {entry}: {exception.Message} {standing}"), exception.InnerException ?? exception),
            _ => exception,
        };
    }

    /// <summary>The sentence where nothing was done.</summary>
    public static string Nothing(string done) => $"No entry was {done}.";

    /// <summary>The sentence where some were done.</summary>
    public static string Some(int count, int of, string done) => count == 0 ? Nothing(done) : Invariant($"{count} of {of} entries were {done}.");
}
