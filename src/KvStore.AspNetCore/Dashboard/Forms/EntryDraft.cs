using System.Globalization;
using System.Text.Json;
using KvStore.Rules;

namespace KvStore.Dashboard.Forms;

/// <summary>An entry as somebody types it: kept as it was typed, until it is right.</summary>
/// <param name="Text">The value; null for one that is not typed, but kept or taken from a file.</param>
/// <param name="IsCrLf">Whether its lines end with CR LF, which a browser does not tell.</param>
/// <param name="Metadata">JSON, or empty for none.</param>
/// <param name="Expiry">What becomes of the expiration: <c>keep</c>, <c>never</c>, <c>ttl</c> or <c>at</c>.</param>
/// <param name="Ttl">A whole number.</param>
/// <param name="Unit">The seconds of its unit.</param>
/// <param name="At">A date and time in UTC.</param>
/// <param name="Stamp">What the entry was when the form was made.</param>
internal sealed record EntryDraft(string? Text, bool IsCrLf, string Metadata, string Expiry, string Ttl, string Unit, string At, string Stamp)
{
    private static readonly string[] s_formats = ["yyyy-MM-dd'T'HH:mm", "yyyy-MM-dd'T'HH:mm:ss"];
    private static readonly DateTime s_latest = DateTimeOffset.FromUnixTimeSeconds(Deadline.SecondsMax).UtcDateTime;

    private const string LatestText = "2106-02-07T06:28:15";

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

    /// <summary>The value as it is stored: a browser sends each line break as CR LF, whatever it was.</summary>
    public string? StoredText => IsCrLf ? Text : Text?.Replace("\r\n", "\n", StringComparison.Ordinal);

    /// <summary>The metadata, within its limit.</summary>
    /// <exception cref="FormatException">It is not JSON, or too long; the message says what is allowed.</exception>
    public KvMetadata ParseMetadata(int bytesMax)
    {
        if (string.IsNullOrWhiteSpace(Metadata))
        {
            return default;
        }

        try
        {
            var metadata = KvMetadata.FromJson(Metadata);
            _ = Rules.MetadataCodec.Encode(metadata, bytesMax);
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

    /// <summary>What the expiration is to be.</summary>
    /// <exception cref="FormatException">It cannot be read; the message says what is allowed.</exception>
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
                    || amount * long.Parse(Unit, CultureInfo.InvariantCulture) is < -Deadline.SecondsMax or > Deadline.SecondsMax)
                {
                    throw new FormatException($"A time to live is a whole number, and ends at {LatestText} UTC at the latest.");
                }

                return (TimeSpan.FromSeconds(amount * long.Parse(Unit, CultureInfo.InvariantCulture)), null);
            case "at":
                return !DateTime.TryParseExact(At, s_formats, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var at)
                        ? throw new FormatException("A date and time in UTC is written like 2030-12-31T23:59.")
                    : at > s_latest ? throw new FormatException($"An entry expires at {LatestText} UTC at the latest.")
                    : (null, new DateTimeOffset(at, TimeSpan.Zero));
            default:
                throw new FormatException("Choose whether the entry expires.");
        }
    }
}
