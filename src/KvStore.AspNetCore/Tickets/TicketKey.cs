using System.Buffers;
using System.Buffers.Text;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace KvStore.Tickets;

/// <summary>
/// The key of a session, which the cookie carries: the user it was made for, and 256 random bits. All tickets of a user are below one
/// prefix, so that no index is needed to find them.
/// </summary>
/// <param name="User">The hash of the user, or <see cref="NoUser"/>.</param>
/// <param name="Id">The random part.</param>
internal readonly record struct TicketKey(string User, string Id)
{
    /// <summary>The longest key, in bytes, without the prefix of the adapter.</summary>
    public const int BytesMax = (2 * PartChars) + 1;

    /// <summary>Stands for the user where a ticket has no claim that names one.</summary>
    public const string NoUser = "-";

    // 32 bytes in base64url, without padding.
    private const int PartChars = 43;
    private const int RandomBytes = 32;

    private static readonly SearchValues<char> s_base64Url = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    /// <summary>A key that nobody can guess.</summary>
    public static TicketKey New(string user)
    {
        Span<byte> random = stackalloc byte[RandomBytes];
        RandomNumberGenerator.Fill(random);
        return new(user, Base64Url.EncodeToString(random));
    }

    /// <summary>The hash that stands for a user in keys. Keys are shown in lists, so they do not show who is signed in.</summary>
    public static string HashOf(string userId)
    {
        var hash = Base64Url.EncodeToString(SHA256.HashData(Encoding.UTF8.GetBytes("KvStore.Tickets.User.v1:" + userId)));
        Debug.Assert(hash.Length == PartChars);
        return hash;
    }

    /// <summary>Whether a text may be the hash of a user, or stand for none.</summary>
    public static bool IsUser(ReadOnlySpan<char> user) => user is NoUser || IsPart(user);

    /// <summary>Reads the text of a key. Anything else than a key that <see cref="New"/> has made is refused.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out TicketKey key)
    {
        key = default;
        var slash = text?.IndexOf('/', StringComparison.Ordinal) ?? -1;
        if (slash < 0 || !IsUser(text.AsSpan(0, slash)) || !IsPart(text.AsSpan(slash + 1)))
        {
            return false;
        }

        key = new TicketKey(text![..slash], text[(slash + 1)..]);
        return true;
    }

    /// <summary>The key as the cookie carries it, and as it stands in the store behind the prefix.</summary>
    public override string ToString() => $"{User}/{Id}";

    private static bool IsPart(ReadOnlySpan<char> part) => part.Length == PartChars && !part.ContainsAnyExcept(s_base64Url);
}
