namespace KvStore.Http;

/// <summary>Ends a request that is refused. The endpoint answers with the failure.</summary>
internal sealed class RefusedException(Failure failure, Exception? innerException = null) : Exception(failure.Message, innerException)
{
    public Failure Failure { get; } = failure;
}
