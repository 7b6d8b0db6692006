using Microsoft.AspNetCore.Http;

namespace KvStore.Transport;

/// <summary>
/// Says of a connection that <c>%00</c> in its request targets arrives as <c>%FF</c>. A key may hold NUL, and Kestrel refuses a
/// path that does; 0xFF is in no UTF-8, so nothing else is lost (a <c>%FF</c> that was sent arrives as <c>%FE</c>, which is not
/// UTF-8 either).
/// </summary>
internal sealed class NulMarks
{
    public static NulMarks Instance { get; } = new();

    /// <summary>Whether a <c>%FF</c> in this text stands for NUL.</summary>
    public static bool AreSet(HttpContext context, ReadOnlySpan<char> encoded) =>
        encoded.Contains("%FF", StringComparison.Ordinal) && context.Features.Get<NulMarks>() is not null;
}
