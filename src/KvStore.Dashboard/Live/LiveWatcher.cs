using System.Threading.Channels;

namespace KvStore.Dashboard.Live;

/// <summary>A client of the live page. It is dropped when it does not read fast enough, so that frames do not pile up.</summary>
internal sealed class LiveWatcher(LiveFeed feed, long begun) : IDisposable
{
    private const int WaitingMax = 5;

    private readonly Channel<LiveFrame> _frames = Channel.CreateBounded<LiveFrame>(new BoundedChannelOptions(WaitingMax) { SingleReader = true });
    private readonly CancellationTokenSource _dropped = new();

    /// <summary>The frames that have not been read.</summary>
    public ChannelReader<LiveFrame> Frames => _frames.Reader;

    /// <summary>The time stamp of the beginning.</summary>
    public long Begun => begun;

    /// <summary>Cancelled when the watcher has not read fast enough, or has lost its slot.</summary>
    public CancellationToken Dropped => _dropped.Token;

    /// <summary>Adds a frame. The feed calls it while it holds its lock.</summary>
    public void Offer(LiveFrame frame)
    {
        if (!_frames.Writer.TryWrite(frame))
        {
            Drop();
        }
    }

    /// <summary>Drops the watcher. The feed calls it while it holds its lock.</summary>
    public void Drop()
    {
        if (_frames.Writer.TryComplete())
        {
            // On another thread: a continuation on this one could dispose the watcher, which takes the lock that the feed holds.
            _ = _dropped.CancelAsync();
        }
    }

    public void Dispose()
    {
        feed.Leave(this);
        _dropped.Dispose();
    }
}
