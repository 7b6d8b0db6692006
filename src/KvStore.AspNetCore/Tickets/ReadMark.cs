using System.Globalization;
using Microsoft.AspNetCore.Authentication;

namespace KvStore.Tickets;

/// <summary>
/// What a ticket that was read from the store carries in its properties until the end of the request: when it was read, and when it was
/// issued then. So a renewal knows which ticket it renews. It is never stored.
/// </summary>
/// <param name="ReadAt">The moment, as <see cref="RemovedUsers"/> counts.</param>
/// <param name="IssuedUtc">What the ticket said about the moment when it was issued; empty for nothing.</param>
internal readonly record struct ReadMark(long ReadAt, string IssuedUtc)
{
    // Cookie authentication copies the items of the properties into the ticket that it renews, and nothing else.
    private const string Item = ".kvstore.read";

    // The name under which AuthenticationProperties keeps IssuedUtc.
    private const string IssuedUtcItem = ".issued";

    /// <summary>Marks a ticket that was read.</summary>
    public static void Set(AuthenticationTicket ticket, long readAt) =>
        ticket.Properties.Items[Item] = Invariant($"{readAt}|{IssuedUtcOf(ticket)}");

    /// <summary>The mark of a ticket; null when it was not read from the store in this request.</summary>
    public static ReadMark? Of(AuthenticationTicket ticket)
    {
        if (!ticket.Properties.Items.TryGetValue(Item, out var text) || text is null)
        {
            return null;
        }

        var bar = text.IndexOf('|', StringComparison.Ordinal);
        return bar > 0 && long.TryParse(text.AsSpan(0, bar), NumberStyles.None, CultureInfo.InvariantCulture, out var readAt)
            ? new ReadMark(readAt, text[(bar + 1)..])
            : null;
    }

    /// <summary>The ticket as it is stored: without a mark.</summary>
    public static AuthenticationTicket Without(AuthenticationTicket ticket)
    {
        if (!ticket.Properties.Items.ContainsKey(Item))
        {
            return ticket;
        }

        // The caller's ticket stays as it is.
        var items = new Dictionary<string, string?>(ticket.Properties.Items, StringComparer.Ordinal);
        items.Remove(Item);
        return new AuthenticationTicket(ticket.Principal, new AuthenticationProperties(items), ticket.AuthenticationScheme);
    }

    /// <summary>
    /// Whether a ticket is the one that was read, with a longer life. Signing in again with the properties of the present sign-in
    /// keeps the moment of issue; cookie authentication sets a new one when it prolongs a ticket.
    /// </summary>
    public bool IsProlongedAs(AuthenticationTicket ticket) => IssuedUtcOf(ticket) != IssuedUtc;

    private static string IssuedUtcOf(AuthenticationTicket ticket) =>
        ticket.Properties.Items.TryGetValue(IssuedUtcItem, out var issued) ? issued ?? "" : "";
}
