namespace KvStore.RealPartsTests.Parts;

/// <summary>A clock that can be wrong: it stands where it is put, also further back. Its timers are those of the system.</summary>
internal sealed class SettableClock(DateTimeOffset now) : TimeProvider
{
    private long _ticks = now.UtcTicks;

    public override DateTimeOffset GetUtcNow() => new(Interlocked.Read(ref _ticks), TimeSpan.Zero);

    public void Set(DateTimeOffset to) => Interlocked.Exchange(ref _ticks, to.UtcTicks);

    public void Move(TimeSpan by) => Interlocked.Add(ref _ticks, by.Ticks);
}
