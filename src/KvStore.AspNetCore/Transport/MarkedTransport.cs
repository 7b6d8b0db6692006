using System.IO.Pipelines;

namespace KvStore.Transport;

/// <summary>A connection's transport whose request lines are looked at.</summary>
internal sealed class MarkedTransport(RequestLineReader input, PipeWriter output) : IDuplexPipe
{
    public PipeReader Input => input;

    public PipeWriter Output => output;
}
