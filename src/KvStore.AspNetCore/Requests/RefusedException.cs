namespace KvStore.Requests;

/// <summary>Ends a request that is refused.</summary>
internal sealed class RefusedException(Failure failure, Exception? innerException = null) : Exception(failure.Message, innerException)
{
    public Failure Failure { get; } = failure;
}
