using System.Threading.Channels;

namespace KvStore.Dashboard.Live;

/// <summary>One who watches. Whoever does not keep up is dropped: what is not taken must not gather.</summary>
internal sealed class LiveWatcher(LiveFeed feed, long begun) : IDisposable
{
    private const int WaitingMax = 5;

    private readonly Channel<LiveFrame> _frames = Channel.CreateBounded<LiveFrame>(new BoundedChannelOptions(WaitingMax) { SingleReader = true });
    private readonly CancellationTokenSource _dropped = new();

    /// <summary>What is still to be taken.</summary>
    public ChannelReader<LiveFrame> Frames => _frames.Reader;

    /// <summary>The time stamp of its beginning.</summary>
    public long Begun => begun;

    /// <summary>Cancelled when the watcher has not kept up, or another one has its place.</summary>
    public CancellationToken Dropped => _dropped.Token;

    /// <summary>Hands over a frame. Called by the feed, one at a time.</summary>
    public void Offer(LiveFrame frame)
    {
        if (!_frames.Writer.TryWrite(frame))
        {
            Drop();
        }
    }

    /// <summary>Ends watching from outside. Called by the feed.</summary>
    public void Drop()
    {
        if (_frames.Writer.TryComplete())
        {
            // On another thread: whoever waits for it may go on at once, and leave the feed that is calling here.
            _ = _dropped.CancelAsync();
        }
    }

    public void Dispose()
    {
        feed.Leave(this);
        _dropped.Dispose();
    }
}
