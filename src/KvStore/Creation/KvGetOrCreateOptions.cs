using KvStore.Creation;
using KvStore.Records;
using KvStore.Rules;

namespace KvStore;

/// <summary>How long <see cref="KvGetOrCreateExtensions"/> keeps what a factory creates, and when it asks the factory again.</summary>
/// <remarks>
/// <para>An entry is first fresh, then stale, then gone. It is stored so that it expires after all of this; so the end of its fresh life
/// is known from <see cref="KvValue.Expiration"/>, and nothing is stored beside the value. Read an entry with the options that it was
/// created with: with other ones another part of its life counts as stale.</para>
/// <para>An entry without an expiration is always fresh. Time is that of the namespace's <see cref="TimeProvider"/>. Ends of fresh lives are
/// kept to the half second, and no earlier than asked for.</para>
/// </remarks>
public sealed record KvGetOrCreateOptions
{
    private readonly TimeSpan? _expirationTtl;
    private readonly TimeSpan? _staleFor;
    private readonly TimeSpan? _staleOnError;
    private readonly double? _eagerRefresh;
    private readonly TimeSpan? _jitter;
    private readonly TimeSpan _lookAhead;

    /// <summary>
    /// How long an entry is fresh; null for ever. Together with the time for which it may be stale it is at least
    /// <see cref="KvLimits.ExpirationTtlMin"/>, 60 seconds by default.
    /// </summary>
    public TimeSpan? ExpirationTtl
    {
        get => _expirationTtl;
        init
        {
            _expirationTtl = Positive(value, nameof(ExpirationTtl));
            LookAhead = LookAheadOf(this);
        }
    }

    /// <summary>
    /// For how long after its fresh life an entry is still returned at once, while one call asks the factory in the background. Null or
    /// zero for not at all.
    /// </summary>
    /// <remarks>When the factory fails in the background, that is logged and counted, and the next call asks again.</remarks>
    public TimeSpan? StaleFor
    {
        get => _staleFor;
        init
        {
            _staleFor = NotNegative(value, nameof(StaleFor));
            LookAhead = LookAheadOf(this);
        }
    }

    /// <summary>
    /// For how long after its fresh life an entry is returned when the factory fails. Beyond <see cref="StaleFor"/> the callers wait for
    /// the factory, and get the old value in place of its exception, which is logged and counted. Null or zero for not at all.
    /// </summary>
    public TimeSpan? StaleOnError
    {
        get => _staleOnError;
        init
        {
            _staleOnError = NotNegative(value, nameof(StaleOnError));
            LookAhead = LookAheadOf(this);
        }
    }

    /// <summary>
    /// The fraction of <see cref="ExpirationTtl"/> after which one call asks the factory in the background, while the entry is still fresh;
    /// above 0 and below 1. Null for not ahead.
    /// </summary>
    /// <remarks>
    /// The remaining fraction is counted back from the end of the entry's fresh life. An entry that was given a much shorter life
    /// (<see cref="KvCreated{T}.ExpirationTtl"/>) is refreshed ahead all its life.
    /// </remarks>
    public double? EagerRefresh
    {
        get => _eagerRefresh;
        init
        {
            if (value is { } fraction && !(fraction > 0 && fraction < 1))
            {
                throw OutOfRange.Exception(nameof(EagerRefresh), fraction, Invariant($"{nameof(EagerRefresh)} is {fraction}; it must be above 0 and below 1."));
            }

            _eagerRefresh = value;
            LookAhead = LookAheadOf(this);
        }
    }

    /// <summary>
    /// The most that is added at random to the fresh life of an entry, so that entries that were created together do not end together.
    /// Null or zero for none.
    /// </summary>
    public TimeSpan? Jitter
    {
        get => _jitter;
        init => _jitter = NotNegative(value, nameof(Jitter));
    }

    /// <summary>How long before its expiration an entry is no longer simply fresh.</summary>
    internal TimeSpan LookAhead
    {
        get => _lookAhead;
        private init
        {
            _lookAhead = value;
            LookAheadSeconds = value == default ? 0 : (uint)Math.Min((value.Ticks / TimeSpan.TicksPerSecond) + 2, uint.MaxValue);
        }
    }

    /// <summary>The same in seconds, rounded up, with a second for the rounding of expirations; 0 for none. Every hit asks.</summary>
    internal uint LookAheadSeconds { get; private init; }

    /// <summary>How long before its expiration an entry becomes stale.</summary>
    internal TimeSpan StaleSpan => Max(_staleFor.GetValueOrDefault(), _staleOnError.GetValueOrDefault());

    /// <summary>What an entry is to callers at a time.</summary>
    /// <param name="deadline">When the entry is gone, which is later.</param>
    /// <param name="now">The time.</param>
    internal Freshness FreshnessOf(Deadline deadline, DateTimeOffset now)
    {
        if (LookAhead == default || deadline.EndsAt is not { } end)
        {
            return Freshness.Fresh;
        }

        var left = end - now;
        return left > LookAhead ? Freshness.Fresh
            : left > StaleSpan ? Freshness.Eager
            : left > StaleSpan - _staleFor.GetValueOrDefault() ? Freshness.Stale
            : Freshness.OnlyOnError;
    }

    /// <summary>The time to live of an entry whose fresh life was chosen.</summary>
    /// <param name="fresh">The fresh life; null for ever.</param>
    /// <param name="random">From 0 to below 1.</param>
    internal TimeSpan? StoredTtl(TimeSpan? fresh, double random) => fresh is { } span
        ? Sum(Sum(span, _jitter.GetValueOrDefault() * random), StaleSpan)
        : null;

    private static TimeSpan LookAheadOf(KvGetOrCreateOptions options)
    {
        var eager = options is { _eagerRefresh: { } fraction, _expirationTtl: { } ttl } ? ttl * (1 - fraction) : default;
        return Sum(options.StaleSpan, eager);
    }

    // A span that is too long for an expiration is refused where it is stored; here it must not overflow.
    private static TimeSpan Sum(TimeSpan one, TimeSpan other) => one > TimeSpan.MaxValue - other ? TimeSpan.MaxValue : one + other;

    private static TimeSpan Max(TimeSpan one, TimeSpan other) => one > other ? one : other;

    private static TimeSpan? Positive(TimeSpan? value, string name) => value is { } span && span <= TimeSpan.Zero
        ? throw OutOfRange.Exception(name, span, Invariant($"{name} is {span}; it must be longer than zero."))
        : value;

    private static TimeSpan? NotNegative(TimeSpan? value, string name) => value is { } span && span < TimeSpan.Zero
        ? throw OutOfRange.Exception(name, span, Invariant($"{name} is {span}; it must not be negative."))
        : value;
}
