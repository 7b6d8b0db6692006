using System.Globalization;
using System.Text.Json;

namespace KvStore.Dashboard.Forms;

/// <summary>The fields of an entry as they were typed, valid or not.</summary>
/// <param name="Text">The value; null when the form has no field for it, because the value is kept or comes from a file.</param>
/// <param name="IsCrLf">Whether the lines of the stored value end with CR LF. A browser sends CR LF in any case.</param>
/// <param name="Metadata">JSON, or empty for none.</param>
/// <param name="Expiry">What to do with the expiration: <c>keep</c>, <c>never</c>, <c>ttl</c> or <c>at</c>.</param>
/// <param name="Ttl">The time to live: a whole number of units.</param>
/// <param name="Unit">The seconds of a unit.</param>
/// <param name="At">A date and time in UTC.</param>
/// <param name="Stamp">The stamp of the entry when the form was made.</param>
internal sealed record EntryDraft(string? Text, bool IsCrLf, string Metadata, string Expiry, string Ttl, string Unit, string At, string Stamp)
{
    private static readonly string[] s_formats = ["yyyy-MM-dd'T'HH:mm", "yyyy-MM-dd'T'HH:mm:ss"];
    private static readonly DateTime s_latest = KvLimits.ExpirationMax.UtcDateTime;
    private static readonly long s_ttlMax = KvLimits.ExpirationMax.ToUnixTimeSeconds();
    private static readonly string s_latestText = s_latest.ToString(s_formats[1], CultureInfo.InvariantCulture);

    /// <summary>The units of a time to live, in seconds.</summary>
    public static (string Seconds, string Name)[] Units { get; } = [("1", "seconds"), ("60", "minutes"), ("3600", "hours"), ("86400", "days")];

    public static EntryDraft Of(ChangeForm form) => new(
        form.Text("value"),
        form.Text("newline") == "crlf",
        form.Text("metadata") ?? "",
        form.Text("expiry") ?? "",
        form.Text("ttl") ?? "",
        form.Text("unit") ?? "1",
        form.Text("at") ?? "",
        form.Text("stamp") ?? "");

    /// <summary>The value as it is stored: with CR LF only when the stored value had it.</summary>
    public string? StoredText => IsCrLf ? Text : Text?.Replace("\r\n", "\n", StringComparison.Ordinal);

    /// <summary>Reads the metadata.</summary>
    /// <exception cref="FormatException">The metadata is not JSON, or too long; the message says what is allowed.</exception>
    public KvMetadata ParseMetadata(KvLimits limits)
    {
        if (string.IsNullOrWhiteSpace(Metadata))
        {
            return default;
        }

        try
        {
            var metadata = KvMetadata.FromJson(Metadata);
            limits.CheckMetadata(metadata);
            return metadata;
        }
        catch (JsonException e)
        {
            var place = e.LineNumber is { } line && e.BytePositionInLine is { } at ? Invariant($" It breaks in line {line + 1}, at byte {at + 1}.") : "";
            throw new FormatException($"This is not one JSON value.{place} A text needs quotes: \"like this\".", e);
        }
        catch (KvException e)
        {
            throw new FormatException($"{e.Reason} White space does not count.", e);
        }
    }

    /// <summary>Reads the expiration.</summary>
    /// <exception cref="FormatException">The expiration cannot be read; the message says what is allowed.</exception>
    public (TimeSpan? Ttl, DateTimeOffset? At) ParseExpiry(DateTimeOffset? current)
    {
        switch (Expiry)
        {
            case "keep":
                return (null, current);
            case "never":
                return (null, null);
            case "ttl":
                if (!int.TryParse(Ttl, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var amount)
                    || !Units.Any(unit => unit.Seconds == Unit)
                    || Math.Abs(amount * long.Parse(Unit, CultureInfo.InvariantCulture)) > s_ttlMax)
                {
                    throw new FormatException($"A time to live is a whole number, and ends at {s_latestText} UTC at the latest.");
                }

                return (TimeSpan.FromSeconds(amount * long.Parse(Unit, CultureInfo.InvariantCulture)), null);
            case "at":
                return !DateTime.TryParseExact(At, s_formats, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var at)
                        ? throw new FormatException("A date and time in UTC is written like 2030-12-31T23:59.")
                    : at > s_latest ? throw new FormatException($"An entry expires at {s_latestText} UTC at the latest.")
                    : (null, new DateTimeOffset(at, TimeSpan.Zero));
            default:
                throw new FormatException("Choose whether the entry expires.");
        }
    }
}
