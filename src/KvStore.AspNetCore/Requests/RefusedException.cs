namespace KvStore.Requests;

/// <summary>Ends a request that is refused.</summary>
internal sealed class RefusedException(Failure failure) : Exception(failure.Message)
{
    public Failure Failure { get; } = failure;
}
