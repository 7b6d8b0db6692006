using System.Security.Claims;
using KvStore.Keys;

namespace KvStore;

/// <summary>How sign-ins are kept in a namespace: see <c>services.AddKvTicketStore</c>.</summary>
public sealed class KvTicketStoreOptions
{
    /// <summary>What the keys of the entries begin with, at most 256 bytes. Default <c>tickets/</c>.</summary>
    public string Prefix { get; set; } = "tickets/";

    /// <summary>
    /// The scheme of the cookie authentication whose tickets are kept, for example <c>Cookies</c>; null for all schemes. Default null.
    /// </summary>
    public string? Scheme { get; set; }

    /// <summary>
    /// The type of the claim that says which user a ticket belongs to, for <see cref="KvTicketStore.RemoveAllAsync"/>. Default
    /// <see cref="ClaimTypes.NameIdentifier"/>; <c>sub</c> where the names of an OpenID Connect provider are kept.
    /// </summary>
    public string UserClaim { get; set; } = ClaimTypes.NameIdentifier;

    /// <summary>
    /// How long a ticket is kept that says nothing about it. Cookie authentication always sets an expiration. Default 14 days; above 0.
    /// </summary>
    public TimeSpan DefaultLifetime { get; set; } = TimeSpan.FromDays(14);

    /// <summary>Checks every option.</summary>
    /// <exception cref="ArgumentException">An option is wrong; the message names it, its value and what is allowed.</exception>
    internal void Validate()
    {
        EntryKeys.Check(Prefix, $"{nameof(KvTicketStoreOptions)}.{nameof(Prefix)}");
        if (string.IsNullOrEmpty(UserClaim))
        {
            throw new ArgumentException($"{nameof(KvTicketStoreOptions)}.{nameof(UserClaim)} is empty; it must be the type of a claim, for example sub.");
        }

        if (Scheme is { Length: 0 })
        {
            throw new ArgumentException($"{nameof(KvTicketStoreOptions)}.{nameof(Scheme)} is empty; it must be the name of a scheme, or null for all.");
        }

        if (DefaultLifetime <= TimeSpan.Zero)
        {
            throw new ArgumentException(Invariant($"{nameof(KvTicketStoreOptions)}.{nameof(DefaultLifetime)} is {DefaultLifetime:c}; it must be above 0."));
        }
    }
}
