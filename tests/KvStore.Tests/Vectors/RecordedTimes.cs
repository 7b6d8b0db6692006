using System.Globalization;
using System.Text.RegularExpressions;

namespace KvStore.Tests.Vectors;

/// <summary>Times as the recordings write them: seconds after the start of the scenario or after now.</summary>
/// <param name="StartSeconds">The second at which the scenario began.</param>
/// <param name="NowSeconds">The second at which the operation runs.</param>
internal sealed partial record RecordedTimes(long StartSeconds, long NowSeconds)
{
    /// <summary>The second that <c>now+60</c> or <c>t0+60</c> stands for.</summary>
    public long Seconds(string recorded)
    {
        var match = Relative().Match(recorded);
        if (!match.Success || match.Length != recorded.Length)
        {
            throw new InvalidDataException($"{recorded} is not a time that the recordings know.");
        }

        return Seconds(match);
    }

    /// <summary>A message with its <c>{now+59}</c> and <c>{t0+100}</c> filled in.</summary>
    public string FillIn(string message) =>
        Placeholder().Replace(message, match => Seconds(Relative().Match(match.Value)).ToString(CultureInfo.InvariantCulture));

    private long Seconds(Match match)
    {
        var origin = match.Groups["origin"].Value == "now" ? NowSeconds : StartSeconds;
        return match.Groups["offset"].Success
            ? origin + long.Parse(match.Groups["offset"].Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture)
            : origin;
    }

    [GeneratedRegex(@"(?<origin>now|t0)(?<offset>[+-]\d+)?")]
    private static partial Regex Relative();

    [GeneratedRegex(@"\{(now|t0)([+-]\d+)?\}")]
    private static partial Regex Placeholder();
}
