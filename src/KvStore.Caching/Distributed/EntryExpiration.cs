using System.Buffers.Text;
using System.Diagnostics;
using System.Globalization;
using System.Text.Unicode;
using Microsoft.Extensions.Caching.Distributed;

namespace KvStore.Distributed;

/// <summary>
/// When an entry of the cache is gone, to the millisecond. It is the metadata of the entry in the namespace, beside the value, so that a
/// value is stored as it was given: <c>{"expires":1764213342123,"set":1764213282123,"sliding":60000}</c>.
/// </summary>
/// <remarks>
/// Times are milliseconds since the Unix epoch. The deadline of the store is never earlier: it only removes what nobody can read any more.
/// </remarks>
/// <param name="Expires">The moment of the absolute expiration; <see cref="Never"/> for none.</param>
/// <param name="Set">When the entry was set; only kept for an entry that slides.</param>
/// <param name="Sliding">How long the entry lives after it was last used; 0 where it does not slide.</param>
internal readonly record struct EntryExpiration(long Expires, long Set, long Sliding)
{
    /// <summary>The moment that never comes.</summary>
    public const long Never = long.MaxValue;

    /// <summary>The longest metadata, in bytes.</summary>
    public const int MetadataBytesMax = 96;

    // The part of the window by which the store keeps an entry longer than it would have to. Within it an entry is used without a touch.
    private const int SlackShare = 16;

    /// <summary>Whether the entry is never gone by itself.</summary>
    public bool IsNone => Expires == Never && Sliding == 0;

    /// <summary>Whether uses prolong the life of the entry.</summary>
    public bool Slides => Sliding > 0;

    /// <summary>What a caller asks for.</summary>
    /// <param name="options">The options. A relative absolute expiration wins over one that is a date, as in the providers of the framework.</param>
    /// <param name="now">The time.</param>
    /// <exception cref="ArgumentOutOfRangeException">The absolute expiration is not in the future.</exception>
    public static EntryExpiration From(DistributedCacheEntryOptions options, DateTimeOffset now)
    {
        if (options.AbsoluteExpiration is { } date && date <= now)
        {
            throw NotInFuture(nameof(DistributedCacheEntryOptions.AbsoluteExpiration), date, now);
        }

        var moment = Milliseconds(now);
        var expires = options.AbsoluteExpirationRelativeToNow is { } ttl ? moment + RoundedUp(ttl.Ticks)
            : options.AbsoluteExpiration is { } absolute ? RoundedUp(absolute.UtcTicks - DateTimeOffset.UnixEpoch.Ticks)
            : Never;
        return new(expires, moment, options.SlidingExpiration is { } window ? RoundedUp(window.Ticks) : 0);
    }

    /// <summary>Reads the metadata of an entry.</summary>
    /// <param name="json">The metadata. What this adapter did not write (another program may have) says nothing of an expiration.</param>
    public static EntryExpiration Read(ReadOnlySpan<byte> json)
    {
        var expires = Never;
        long set = 0, sliding = 0;
        var isRead = TakeNumber(ref json, "{\"expires\":"u8, ref expires)
            ? json.SequenceEqual("}"u8) || (TakeNumber(ref json, ",\"set\":"u8, ref set) && TakeNumber(ref json, ",\"sliding\":"u8, ref sliding))
            : TakeNumber(ref json, "{\"set\":"u8, ref set) && TakeNumber(ref json, ",\"sliding\":"u8, ref sliding);
        return isRead && json.SequenceEqual("}"u8) && sliding >= 0 ? new(expires, set, sliding) : new(Never, 0, 0);
    }

    /// <summary>The metadata that <see cref="Read"/> reads; none for an entry that is never gone.</summary>
    public KvMetadata ToMetadata()
    {
        if (IsNone)
        {
            return KvMetadata.Null;
        }

        var json = new byte[MetadataBytesMax];
        int length;
        var isWritten = !Slides ? Utf8.TryWrite(json, CultureInfo.InvariantCulture, $"{{\"expires\":{Expires}}}", out length)
            : Expires == Never ? Utf8.TryWrite(json, CultureInfo.InvariantCulture, $"{{\"set\":{Set},\"sliding\":{Sliding}}}", out length)
            : Utf8.TryWrite(json, CultureInfo.InvariantCulture, $"{{\"expires\":{Expires},\"set\":{Set},\"sliding\":{Sliding}}}", out length);
        Debug.Assert(isWritten, "There is room for three numbers.");
        return KvMetadata.FromUtf8Json(json.AsMemory(0, length));
    }

    /// <summary>When the entry is gone if it is not used again.</summary>
    /// <param name="lastUse">When the entry was set or last used.</param>
    public long EndsAt(long lastUse) => Slides ? Math.Min(Expires, lastUse + Sliding) : Expires;

    /// <summary>
    /// The time to live to give the store, in whole seconds from now: so long that the entry can be used for a while without another touch.
    /// Null for ever.
    /// </summary>
    /// <param name="now">The time.</param>
    /// <param name="limits">The limits of the namespace. An entry that is gone sooner stays in the store for the shortest time to live.</param>
    public TimeSpan? StoreTtl(long now, KvLimits limits)
    {
        if (IsNone)
        {
            return null;
        }

        var milliseconds = Math.Min(Slides ? SlidingTtl : long.MaxValue, Expires == Never ? long.MaxValue : Expires - now);
        var seconds = Math.Max((long)Math.Ceiling(limits.ExpirationTtlMin.TotalSeconds), WholeSeconds(milliseconds));
        return (now / 1000) + seconds < KvLimits.ExpirationMax.ToUnixTimeSeconds() ? TimeSpan.FromSeconds(seconds) : null;
    }

    /// <summary>Whether the store would lose the entry before it is gone, when it is used now.</summary>
    /// <param name="now">The time.</param>
    /// <param name="storeEndsAt">The expiration that the store shows; null for none.</param>
    public bool NeedsTouch(long now, DateTimeOffset? storeEndsAt) => storeEndsAt is { } end && Milliseconds(end) < EndsAt(now);

    /// <summary>
    /// The earliest moment at which the store can have been given its deadline: a use that was not later than the last one. After a crash it
    /// is all that is known.
    /// </summary>
    /// <param name="storeEndsAt">The expiration that the store shows; null for none.</param>
    /// <param name="limits">The limits of the namespace.</param>
    public long LastTouch(DateTimeOffset? storeEndsAt, KvLimits limits) => storeEndsAt is { } end
        ? Math.Max(Set, Milliseconds(end) - (1000 * Math.Max((long)Math.Ceiling(limits.ExpirationTtlMin.TotalSeconds), WholeSeconds(SlidingTtl))))
        : Set;

    /// <summary>A time in milliseconds since the Unix epoch, rounded down.</summary>
    public static long Milliseconds(DateTimeOffset time) => time.ToUnixTimeMilliseconds();

    // As the providers of the framework: the parameter is the name of the option.
    private static ArgumentOutOfRangeException NotInFuture(string option, DateTimeOffset date, DateTimeOffset now) => new(
        option, date, Invariant($"The absolute expiration value must be in the future. It is {date.UtcDateTime:O}, and the time is {now.UtcDateTime:O}."));

    private long SlidingTtl => Sliding + (Sliding / SlackShare);

    // One second more than needed: the store shows the deadline from the beginning of the present second on.
    private static long WholeSeconds(long milliseconds) => (milliseconds / 1000) + 2;

    // To milliseconds. Without an overflow of the longest span.
    private static long RoundedUp(long ticks) =>
        (ticks / TimeSpan.TicksPerMillisecond) + (ticks % TimeSpan.TicksPerMillisecond > 0 ? 1 : 0);

    private static bool TakeNumber(ref ReadOnlySpan<byte> json, ReadOnlySpan<byte> name, ref long number)
    {
        if (!json.StartsWith(name) || !Utf8Parser.TryParse(json[name.Length..], out long parsed, out var length))
        {
            return false;
        }

        number = parsed;
        json = json[(name.Length + length)..];
        return true;
    }
}
