namespace EdgeSite;

/// <summary>Stands for a service elsewhere that is slow, counts its calls, and sometimes fails.</summary>
public sealed class RatesSource(TimeProvider time)
{
    private int _calls;

    /// <summary>Whether every call fails.</summary>
    public bool IsDown { get; set; }

    /// <summary>Asks the service.</summary>
    public async ValueTask<Rates> FetchAsync(CancellationToken cancellationToken)
    {
        var number = Interlocked.Increment(ref _calls);
        await Task.Yield();
        cancellationToken.ThrowIfCancellationRequested();
        return IsDown
            ? throw new HttpRequestException("The service of the rates is down.")
            : new Rates(number, 1.05m + (number % 10 * 0.01m), time.GetUtcNow());
    }
}

/// <summary>What the service answers.</summary>
public sealed record Rates(int Number, decimal EuroInDollars, DateTimeOffset At);
