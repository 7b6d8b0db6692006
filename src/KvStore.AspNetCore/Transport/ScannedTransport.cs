using System.IO.Pipelines;

namespace KvStore.Transport;

/// <summary>A connection's transport whose input is scanned.</summary>
internal sealed class ScannedTransport(IDuplexPipe inner) : IDuplexPipe
{
    public PipeReader Input { get; } = new ScanningReader(inner.Input);

    public PipeWriter Output => inner.Output;
}
