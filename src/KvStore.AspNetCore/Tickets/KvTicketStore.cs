using System.Diagnostics;
using System.Security.Cryptography;
using KvStore.Adapters;
using KvStore.Tickets;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KvStore;

/// <summary>
/// Keeps the tickets of cookie authentication in a namespace, so that the cookie carries a key only, sign-ins survive a restart, and a user
/// can be signed out everywhere. Registered with <c>services.AddKvTicketStore</c>.
/// </summary>
/// <remarks>
/// <para>A ticket is encrypted and signed with Data Protection, and so is its key with it. Entries are named
/// <c>tickets/{hash of the user}/{256 random bits}</c>.</para>
/// <para>A failure of the namespace is thrown: nobody is signed in or out silently without it. A ticket that cannot be decrypted is treated as
/// gone and logged.</para>
/// <para>Thread safety: all members, from any thread.</para>
/// </remarks>
public sealed class KvTicketStore : ITicketStore
{
    // Followed by the random part of a key: the user below whom the ticket is now, after another user has signed in with the cookie.
    private const string MovedFolder = "moved/";
    private const int RemovedUsersMax = 10_000;

    private readonly IServiceProvider _services;
    private readonly KvTicketStoreOptions _options;
    private readonly KvAdapter _adapter;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly TicketFormat _format;
    private readonly RemovedUsers _removed = new(RemovedUsersMax);

    internal KvTicketStore(IServiceProvider services, KvTicketStoreOptions options, KvAdapter adapter)
    {
        _services = services;
        _options = options;
        _adapter = adapter;
        _time = services.GetService<TimeProvider>() ?? TimeProvider.System;
        _logger = services.GetService<ILoggerFactory>()?.CreateLogger(TicketLog.Category) ?? NullLogger.Instance;
        _format = new TicketFormat(services.GetRequiredService<IDataProtectionProvider>(), adapter.Namespace);
    }

    private IKvExtendedNamespace Namespace => _adapter.GetNamespace<IKvExtendedNamespace>(_services);

    /// <inheritdoc/>
    public Task<string> StoreAsync(AuthenticationTicket ticket) => StoreAsync(ticket, CancellationToken.None);

    /// <summary>Stores a new ticket.</summary>
    /// <param name="ticket">The ticket.</param>
    /// <param name="cancellationToken">Cancels the call before the ticket is stored.</param>
    /// <returns>The key of the session: 256 random bits, and a hash of the user.</returns>
    /// <exception cref="KvException">The namespace refused the entry.</exception>
    /// <exception cref="KvPersistenceException">The disk failed.</exception>
    public async Task<string> StoreAsync(AuthenticationTicket ticket, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(ticket);
        try
        {
            var key = TicketKey.New(UserOf(ticket));
            await PutAsync(Namespace, key, ticket, cancellationToken).ConfigureAwait(false);
            _adapter.CountRequest("store", "ok");
            return key.ToString();
        }
        catch
        {
            _adapter.CountRequest("store", "error");
            throw;
        }
    }

    /// <inheritdoc/>
    public Task RenewAsync(string key, AuthenticationTicket ticket) => RenewAsync(key, ticket, CancellationToken.None);

    /// <summary>
    /// Replaces the ticket of a session, or inserts it when it is gone. A ticket that was read before its user was signed out everywhere
    /// is not prolonged.
    /// </summary>
    /// <param name="key">The key of the session.</param>
    /// <param name="ticket">The ticket. It may belong to another user than the one before.</param>
    /// <param name="cancellationToken">Cancels the call before the ticket is stored.</param>
    /// <returns>A task that completes when the ticket is stored.</returns>
    /// <exception cref="ArgumentException">The key was not made by this store.</exception>
    /// <exception cref="KvException">The namespace refused the entry.</exception>
    /// <exception cref="KvPersistenceException">The disk failed.</exception>
    public async Task RenewAsync(string key, AuthenticationTicket ticket, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(ticket);
        ArgumentNullException.ThrowIfNull(key);
        var session = TicketKey.TryParse(key, out var parsed)
            ? parsed
            : throw new ArgumentException("The key of a session was not made by this store.", nameof(key));
        try
        {
            var isRenewed = await RenewAsync(session, ticket, cancellationToken).ConfigureAwait(false);
            _adapter.CountRequest("renew", isRenewed ? "ok" : "refused");
        }
        catch
        {
            _adapter.CountRequest("renew", "error");
            throw;
        }
    }

    /// <inheritdoc/>
    public Task<AuthenticationTicket?> RetrieveAsync(string key) => RetrieveAsync(key, CancellationToken.None);

    /// <summary>Reads the ticket of a session.</summary>
    /// <param name="key">The key of the session.</param>
    /// <param name="cancellationToken">Cancels the read where it has to wait.</param>
    /// <returns>The ticket; null when it was removed, has expired or cannot be decrypted.</returns>
    /// <exception cref="KvPersistenceException">The disk failed.</exception>
    public async Task<AuthenticationTicket?> RetrieveAsync(string key, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        try
        {
            var ticket = TicketKey.TryParse(key, out var session)
                ? await RetrieveAsync(session, cancellationToken).ConfigureAwait(false)
                : null;
            _adapter.CountRequest("get", ticket is null ? "miss" : "hit");
            return ticket;
        }
        catch
        {
            _adapter.CountRequest("get", "error");
            throw;
        }
    }

    /// <inheritdoc/>
    public Task RemoveAsync(string key) => RemoveAsync(key, CancellationToken.None);

    /// <summary>Removes the ticket of a session.</summary>
    /// <param name="key">The key of the session.</param>
    /// <param name="cancellationToken">
    /// Has no effect: a sign-out goes on when the client closes the connection.
    /// </param>
    /// <returns>A task that completes when the ticket is removed.</returns>
    /// <exception cref="KvPersistenceException">The disk failed.</exception>
    public async Task RemoveAsync(string key, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(key);
        try
        {
            if (TicketKey.TryParse(key, out var session))
            {
                var kv = Namespace;
                var present = await MovedAsync(kv, session).ConfigureAwait(false);
                await kv.DeleteAsync(PathOf(session), CancellationToken.None).ConfigureAwait(false);
                if (present != session)
                {
                    await kv.DeleteAsync(PathOf(present), CancellationToken.None).ConfigureAwait(false);
                    await kv.DeleteAsync(MovedPathOf(session), CancellationToken.None).ConfigureAwait(false);
                }
            }

            _adapter.CountRequest("remove", "ok");
        }
        catch
        {
            _adapter.CountRequest("remove", "error");
            throw;
        }
    }

    /// <summary>
    /// Signs a user out everywhere: removes all tickets of the user. Sign-ins after the call has begun stay. A request of the user that
    /// began before the call does not prolong its ticket.
    /// </summary>
    /// <param name="userId">The user, as in the claim <see cref="KvTicketStoreOptions.UserClaim"/>.</param>
    /// <param name="cancellationToken">Stops between two batches of 2,048 tickets; what was removed stays removed.</param>
    /// <returns>How many tickets were removed. They are removed from the disk too when the task completes.</returns>
    /// <exception cref="ArgumentException">The user is null or empty.</exception>
    /// <exception cref="KvPersistenceException">The disk failed. Some tickets may not have been removed.</exception>
    public async ValueTask<long> RemoveAllAsync(string userId, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(userId);
        try
        {
            var kv = Namespace;
            var user = TicketKey.HashOf(userId);
            _removed.Add(user);
            var count = await kv.DeletePrefixAsync($"{_adapter.Prefix}{user}/", cancellationToken).ConfigureAwait(false);
            if (kv is KvNamespace local)
            {
                await local.FlushAsync(cancellationToken).ConfigureAwait(false);
            }

            _adapter.CountRequest("remove_all", "ok");
            return count;
        }
        catch
        {
            _adapter.CountRequest("remove_all", "error");
            throw;
        }
    }

    private async ValueTask<bool> RenewAsync(TicketKey session, AuthenticationTicket ticket, CancellationToken cancellationToken)
    {
        var kv = Namespace;
        var user = UserOf(ticket);
        var mark = ReadMark.Of(ticket) is { } read && read.IsProlongedAs(ticket) ? read : (ReadMark?)null;
        if (mark is { } before && _removed.WasRemovedAfter(user, before.ReadAt))
        {
            _logger.RenewalRefused(_adapter.Namespace);
            return false;
        }

        var present = await MovedAsync(kv, session).ConfigureAwait(false);
        var next = session with { User = user };
        await PutAsync(kv, next, ticket, cancellationToken).ConfigureAwait(false);

        // What follows is not cancelled, so that no ticket is left behind below the user before.
        if (next != session)
        {
            await kv.PutAsync(MovedPathOf(session), user, OptionsOf(DeadlineOf(ticket, _time.GetUtcNow())), CancellationToken.None).ConfigureAwait(false);
            await kv.DeleteAsync(PathOf(session), CancellationToken.None).ConfigureAwait(false);
        }
        else if (present != session)
        {
            await kv.DeleteAsync(MovedPathOf(session), CancellationToken.None).ConfigureAwait(false);
        }

        if (present != next && present != session)
        {
            await kv.DeleteAsync(PathOf(present), CancellationToken.None).ConfigureAwait(false);
        }

        // The user may have been removed while the ticket was written, after the tickets of the user were deleted.
        if (mark is { } still && _removed.WasRemovedAfter(user, still.ReadAt))
        {
            await kv.DeleteAsync(PathOf(next), CancellationToken.None).ConfigureAwait(false);
            _logger.RenewalRefused(_adapter.Namespace);
            return false;
        }

        return true;
    }

    private async ValueTask<AuthenticationTicket?> RetrieveAsync(TicketKey session, CancellationToken cancellationToken)
    {
        var kv = Namespace;
        var readAt = _removed.Now;
        var present = session;
        var value = await kv.GetAsync(PathOf(session), cancellationToken: cancellationToken).ConfigureAwait(false);
        if (!value.Exists)
        {
            present = await MovedAsync(kv, session).ConfigureAwait(false);
            if (present == session)
            {
                return null;
            }

            value = await kv.GetAsync(PathOf(present), cancellationToken: cancellationToken).ConfigureAwait(false);
        }

        using (value)
        {
            if (!value.Exists || Unprotect(present, await value.ReadBytesAsync(cancellationToken).ConfigureAwait(false)) is not { } ticket)
            {
                return null;
            }

            ReadMark.Set(ticket, readAt);
            return ticket;
        }
    }

    private AuthenticationTicket? Unprotect(TicketKey key, ReadOnlyMemory<byte> value)
    {
        try
        {
            if (_format.Unprotect(key.ToString(), value) is { } found)
            {
                return found.Deadline.HasPassed(_time.GetUtcNow()) ? null : found.Ticket;
            }

            _logger.TicketUnreadable(_adapter.Namespace, exception: null);
            return null;
        }
        catch (CryptographicException e)
        {
            _logger.TicketUnreadable(_adapter.Namespace, e);
            return null;
        }
    }

    // Where the ticket of a session is: below the user of its key, or below the one who signed in later with the same cookie.
    private async ValueTask<TicketKey> MovedAsync(IKvExtendedNamespace kv, TicketKey session)
    {
        var moved = await kv.GetAsync(MovedPathOf(session), cancellationToken: CancellationToken.None).ConfigureAwait(false);
        return moved.Exists && moved.GetText() is { } user && TicketKey.IsUser(user) ? session with { User = user } : session;
    }

    private ValueTask PutAsync(IKvExtendedNamespace kv, TicketKey key, AuthenticationTicket ticket, CancellationToken cancellationToken)
    {
        var deadline = DeadlineOf(ticket, _time.GetUtcNow());
        var value = _format.Protect(key.ToString(), deadline, ReadMark.Without(ticket));
        return kv.PutAsync(PathOf(key), value, OptionsOf(deadline), cancellationToken);
    }

    private ExactDeadline DeadlineOf(AuthenticationTicket ticket, DateTimeOffset now) => ticket.Properties.ExpiresUtc is { } expires
        ? new ExactDeadline(expires.UtcTicks)
        : ExactDeadline.After(_options.DefaultLifetime, now);

    private KvPutOptions OptionsOf(ExactDeadline deadline) => new() { ExpirationTtl = deadline.TimeToLive(_time.GetUtcNow()) };

    private string UserOf(AuthenticationTicket ticket) =>
        ticket.Principal.FindFirst(_options.UserClaim)?.Value is { Length: > 0 } userId ? TicketKey.HashOf(userId) : TicketKey.NoUser;

    private string PathOf(TicketKey key)
    {
        Debug.Assert(TicketKey.IsUser(key.User));
        return $"{_adapter.Prefix}{key}";
    }

    private string MovedPathOf(TicketKey session) => $"{_adapter.Prefix}{MovedFolder}{session.Id}";
}
