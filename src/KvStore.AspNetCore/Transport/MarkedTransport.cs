using System.IO.Pipelines;

namespace KvStore.Transport;

/// <summary>The transport of a connection, with a reader that changes request lines.</summary>
internal sealed class MarkedTransport(RequestLineReader input, PipeWriter output) : IDuplexPipe
{
    public PipeReader Input => input;

    public PipeWriter Output => output;
}
