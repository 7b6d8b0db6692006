using System.Buffers;
using System.IO.Pipelines;

namespace KvStore.Transport;

/// <summary>What a connection receives, shown to a <see cref="RequestScanner"/> before the server sees it.</summary>
internal sealed class ScanningReader(PipeReader inner) : PipeReader
{
    private readonly RequestScanner _scanner = new();
    private ReadOnlySequence<byte> _current;

    // How many bytes of what has not been consumed were looked at before.
    private long _scannedBytes;

    public override async ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) =>
        Scan(await inner.ReadAsync(cancellationToken).ConfigureAwait(false));

    public override bool TryRead(out ReadResult result)
    {
        if (!inner.TryRead(out result))
        {
            return false;
        }

        Scan(result);
        return true;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        _scannedBytes -= _current.Slice(0, consumed).Length;
        _current = default;
        inner.AdvanceTo(consumed, examined);
    }

    public override void CancelPendingRead() => inner.CancelPendingRead();

    public override void Complete(Exception? exception = null) => inner.Complete(exception);

    public override ValueTask CompleteAsync(Exception? exception = null) => inner.CompleteAsync(exception);

    private ReadResult Scan(in ReadResult result)
    {
        _current = result.Buffer;
        if (_current.Length > _scannedBytes)
        {
            foreach (var memory in _current.Slice(_scannedBytes))
            {
                _scanner.Scan(memory);
            }

            _scannedBytes = _current.Length;
        }

        return result;
    }
}
